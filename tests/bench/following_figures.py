"""Figures of tests/bench/run following: following_figures.py table|json FACTS <raw lines.
Spans end with the commit. `requests` are per second, between the first and the last submission of
the stream; `changing` ones (submit, update, cancel, signal) are what jobs need anyway."""

import sys

from figures import tell
from latency_figures import quantile

SPANS = ("start, from slurmctld's decision", "start, from the script's first line",
         "end, from the script's last line", "end, from slurmctld's hearing of it")
CHANGING = ("submit", "update", "cancel", "signal")


def spans_of(raw):
    jobs = {row["job"]: row for row in raw if row["what"] == "job"}
    began, over = ({row["slurm"]: row["at_s"] for row in raw if row["what"] == what}
                   for what in ("started", "ended"))
    spans, seen = {name: [] for name in SPANS}, set()

    def add(row, start, moments):
        if (row["job"], start) in seen:
            return
        seen.add((row["job"], start))
        for name, moment in moments:
            if moment is not None:
                spans[name].append(round((row["commit_s"] - moment) * 1000, 1))
    for row in raw:
        if row["what"] != "event" or row["job"] not in jobs:
            continue
        job, slurm = jobs[row["job"]], row["slurm"]
        add(row, True, ((SPANS[0], began.get(slurm)), (SPANS[1], job["first_s"])))
        if row["to"] != "running":
            add(row, False, ((SPANS[2], job["last_s"]), (SPANS[3], over.get(slurm))))
    missing = 2 * len(jobs) - len(seen)
    if missing or not jobs:
        sys.exit(f"following: {missing} of {2 * len(jobs)} starts and ends were not committed")
    return spans


def requests_of(raw):
    first, last = (row for row in raw if row["what"] == "counters")
    took = last["at_s"] - first["at_s"]

    def more(kind):
        return {name: value - first[kind].get(name, 0) for name, value in last[kind].items()
                if value > first[kind].get(name, 0)}
    calls = more("calls")
    jobs = sum(row["what"] == "job" for row in raw)
    return {"seconds": round(took, 1),
            "per_s": {call: round(count / took, 2) for call, count in sorted(calls.items())},
            "reading_per_s": round(sum(count for call, count in calls.items()
                                       if call not in CHANGING) / took, 2),
            "all_per_s": round(sum(calls.values()) / took, 2),
            "unanswered": int(sum(more("bad").values())),
            "mean_ms": {call: round(1000 * seconds / calls[call], 1)
                        for call, seconds in sorted(more("seconds").items()) if calls.get(call)},
            "cores_used": {name: round(ms / 1000 / took, 3)
                           for name, ms in sorted(more("cpu_ms").items())},
            "jobs_per_s": round(jobs / took, 2),
            "stood_still_s": max(row["stood_still_s"] for row in raw if row["what"] == "job")}


def result_of(facts, raw):
    spans = {}
    for name, values in spans_of(raw).items():
        if values:
            spans[name] = {"jobs": len(values), "p50_ms": quantile(values, 0.5),
                           "p95_ms": quantile(values, 0.95), "p99_ms": quantile(values, 0.99),
                           "most_ms": max(values)}
    return {"benchmark": "following", "machine": facts, "spans": spans,
            "requests": requests_of(raw)}


def print_table(result):
    print(f"{'COMMITTED AFTER':<36} {'JOBS':>5} {'P50 MS':>8} {'P95 MS':>8} {'P99 MS':>8} "
          f"{'MOST':>8}")
    for name, row in result["spans"].items():
        print(f"{name:<36} {row['jobs']:>5} {row['p50_ms']:>8} {row['p95_ms']:>8} "
              f"{row['p99_ms']:>8} {row['most_ms']:>8}")
    asked = result["requests"]
    print(f"\n{'REQUESTS':<12} {'PER S':>6} {'MEAN MS':>8}")
    for call, rate in asked["per_s"].items():
        print(f"{call:<12} {rate:>6} {asked['mean_ms'].get(call, '-'):>8}")
    print(f"reading {asked['reading_per_s']}, in all {asked['all_per_s']} a second for "
          f"{asked['jobs_per_s']} jobs a second; {asked['unanswered']} not answered")
    if asked["stood_still_s"] > 1:
        print(f"the machine stood still for up to {asked['stood_still_s']} s: so much is its")
    print("cores used: " + ", ".join(f"{name} {cores}"
                                     for name, cores in asked["cores_used"].items()))
    facts = result["machine"]
    print(f"{facts['cpu']}, {facts['cores']} cores, load {facts['load_at_start']} at the start; "
          f"PostgreSQL {facts['postgresql']}, Slurm {facts['slurm']}")


if __name__ == "__main__":
    tell(result_of, print_table)
