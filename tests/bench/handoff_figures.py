"""Figures of tests/bench/run handoff: handoff_figures.py table|json FACTS NODES <raw lines.
Medians over the rounds. `ratio` is to sbatch in the same form: of jobs per second."""

import statistics
import sys

from figures import tell

CONTROLLERS = ("slurmctld", "slurmrestd", "kezekd")


def figures_of(raw):
    ways = {}
    for row in raw:
        ways.setdefault(row["way"], []).append(row)
    result = {}
    for way, rows in ways.items():
        def median(value):
            return statistics.median(value(row) for row in rows)
        result[way] = {
            "rounds": len(rows), "jobs": rows[0]["jobs"],
            "jobs_per_s": round(median(lambda row: row["jobs"] / row["last_s"]), 1),
            "submitted_s": round(median(lambda row: row["said_s"]), 1),
            "controllers_ms_per_job": round(median(
                lambda row: sum(row["cpu_ms"][name] for name in CONTROLLERS) / row["jobs"]), 1),
            "ms_per_job": {name: round(median(lambda row: row["cpu_ms"][name] / row["jobs"]), 1)
                           for name in rows[0]["cpu_ms"]},
            "requests_per_job": {name: round(median(
                lambda row: row["calls"].get(name, 0) / row["jobs"]), 3)
                                 for name in rows[-1]["calls"]},
            "jobs_per_s_of_rounds": [round(row["jobs"] / row["last_s"], 1) for row in rows]}
    for way, row in result.items():
        base = result.get(way.replace("kezek", "sbatch"))
        if base and base is not row:
            row["ratio"] = round(row["jobs_per_s"] / base["jobs_per_s"], 2)
    return result


def result_of(facts, raw):
    return {"benchmark": "handoff", "machine": facts, "nodes": int(sys.argv[3]),
            "ways": figures_of(raw)}


def print_table(result):
    names = next(iter(result["ways"].values()))["ms_per_job"]
    print(f"{'BY':<14} {'JOBS':>5} {'PER S':>6} {'RATIO':>6} {'SUBMITTED S':>11}  "
          f"PROCESSOR MS A JOB: {'CONTROLLERS':>11} " + " ".join(f"{name:>10}" for name in names))
    for way, row in result["ways"].items():
        print(f"{way:<14} {row['jobs']:>5} {row['jobs_per_s']:>6} {row.get('ratio', '-'):>6} "
              f"{row['submitted_s']:>11}  {'':>20} {row['controllers_ms_per_job']:>11} " +
              " ".join(f"{ms:>10}" for ms in row["ms_per_job"].values()))
        if not way.startswith("sbatch"):
            print(f"{'':<14} requests a job: " + ", ".join(
                f"{name} {count}" for name, count in row["requests_per_job"].items() if count))
    print("controllers: slurmctld, slurmrestd and kezekd together")
    facts = result["machine"]
    print(f"{result['nodes']} nodes; {facts['cpu']}, {facts['cores']} cores, load "
          f"{facts['load_at_start']} at the start; PostgreSQL {facts['postgresql']}, Slurm "
          f"{facts['slurm']}")


if __name__ == "__main__":
    tell(result_of, print_table)
