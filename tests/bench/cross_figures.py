"""Figures of tests/bench/run cross: cross_figures.py table|json FACTS FOLDER GPUS <raw lines of
cross_drive.py. FOLDER has kezek-sim's jobs as sim.POLICY.LAUNCH.csv. A wait is from the moment at
which the job was to be submitted to its script's first line; used is what scripts held, from the
first submission to the last (coming) and to the last end."""

import csv
import glob
import os
import statistics
import sys

from figures import tell

PAIRS = (("sbatch", "multifactor"), ("kezek", "kezek"))


def quantile(values, q):
    """The value at rank ceil(q n), from 1."""
    ranked = sorted(values)
    return ranked[max(0, -(-round(q * 1000) * len(ranked) // 1000) - 1)]


def simulated(folder):
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "sim.*.csv"))):
        _, policy, launch, _ = os.path.basename(path).split(".")
        with open(path, encoding="utf-8") as file:
            found[policy, int(launch)] = {
                row["job_id"]: {"job_id": row["job_id"],
                                **{name: float(row[name])
                                   for name in ("submit_s", "start_s", "end_s", "gpus")}}
                for row in csv.DictReader(file)}
    return found


def used(jobs, gpus, until):
    held = sum(job["gpus"] * max(0.0, min(job["end_s"], until) - job["start_s"]) for job in jobs
               if job["start_s"] < until)
    return round(held / gpus / max(until, 1.0), 3)


def jain(jobs, groups):
    """Over groups' mean completion by their mean run time, as kezek-sim's."""
    sums = {}
    for job in jobs:
        one = sums.setdefault(groups[job["job_id"]], [0.0, 0.0])
        one[0] += job["end_s"] - job["submit_s"]
        one[1] += job["end_s"] - job["start_s"]
    slow = [done / run for done, run in sums.values()]
    return round(sum(slow) ** 2 / len(slow) / sum(value ** 2 for value in slow), 3)


def figures_of(by_name, gpus, groups):
    jobs = list(by_name.values())
    waits = [job["start_s"] - job["submit_s"] for job in jobs]
    last = max(job["end_s"] for job in jobs)
    return {"jobs": len(jobs), "mean_wait_s": round(statistics.mean(waits), 1),
            "p50_s": round(quantile(waits, 0.5), 1), "p95_s": round(quantile(waits, 0.95), 1),
            "longest_s": round(max(waits), 1), "last_end_s": round(last),
            "jain": jain(jobs, groups),
            "used_coming": used(jobs, gpus, max(job["submit_s"] for job in jobs)),
            "used": used(jobs, gpus, last)}


def band(rows):
    """What the simulator says with runs that are a second longer or shorter: mean, least, most."""
    return {name: [round(statistics.mean(row[name] for row in rows), 3),
                   min(row[name] for row in rows), max(row[name] for row in rows)]
            for name in ("mean_wait_s", "p95_s", "longest_s", "used_coming", "last_end_s", "jain")}


def ranks(values):
    """With ties their mean rank."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for index in order[at:end]:
            found[index] = (at + end - 1) / 2
        at = end
    return found


def correlation(left, right):
    if min(len(set(left)), len(set(right))) < 2:
        return None
    return round(statistics.correlation(ranks(left), ranks(right)), 3)


def nearness(real, sim):
    """Of waits: the simulator's less the real ones."""
    names = sorted(real)
    waits = [[jobs[name]["start_s"] - jobs[name]["submit_s"] for name in names]
             for jobs in (real, sim)]
    apart = [abs(right - left) for left, right in zip(*waits)]
    mean = [statistics.mean(side) for side in waits]
    return {"mean_ratio": round(mean[1] / mean[0], 2),
            "apart_mean_s": round(statistics.mean(apart), 1),
            "apart_p50_s": round(quantile(apart, 0.5), 1),
            "apart_p90_s": round(quantile(apart, 0.9), 1),
            "within_5_s": round(sum(value <= 5 for value in apart) / len(apart), 3),
            "rank_correlation": correlation(*waits)}


def result_of(facts, raw):
    folder, gpus = sys.argv[3], int(sys.argv[4])
    real = {way: {job["job_id"]: job for job in raw if job["what"] == way} for way, _ in PAIRS}
    sim = simulated(folder)
    groups = {job["job_id"]: job["group"] for job in raw}
    lines = {way: figures_of(jobs, gpus, groups) for way, jobs in real.items()}
    for way, jobs in real.items():
        said = [job["said_s"] - job["submit_s"] for job in jobs.values()]
        lines[way]["said_p50_s"] = round(quantile(said, 0.5), 2)
        lines[way]["said_most_s"] = round(max(said), 2)
        # What a start costs where nothing was in its way in the simulator either.
        free = [job["start_s"] - job["submit_s"] for name, job in jobs.items()
                if sim[dict(PAIRS)[way], 0][name]["start_s"] == job["submit_s"]]
        lines[way]["unhindered_p50_s"] = round(quantile(free, 0.5), 2) if free else None
    near = [{"real": way, "policy": policy, "launch_s": launch,
             **nearness(real[way], sim[policy, launch])}
            for way, policy in PAIRS for launch in sorted({key[1] for key in sim})]
    near.append({"real": "sbatch", "policy": "kezek, real", "launch_s": 0,
                 **nearness(real["sbatch"], real["kezek"])})
    rows = [{"policy": policy, "launch_s": launch, **figures_of(jobs, gpus, groups)}
            for (policy, launch), jobs in sorted(sim.items())]
    bands = [{"policy": policy, **band([row for row in rows if row["policy"] == policy])}
             for policy in sorted({key[0] for key in sim})]
    return {"benchmark": "cross", "machine": facts, "gpus": gpus, "real": lines,
            "simulated": rows, "bands": bands, "nearness": near}


def print_row(name, row):
    print(f"{name:<26} {row['mean_wait_s']:>7} {row['p50_s']:>7} {row['p95_s']:>7} "
          f"{row['longest_s']:>8} {row['used_coming']:>7.1%} {row['used']:>7.1%} "
          f"{row['last_end_s']:>9} {row['jain']:>6}")


def print_table(result):
    print(f"{'':<26} {'MEAN':>7} {'P50':>7} {'P95':>7} {'LONGEST':>8} {'COMING':>7} {'USED':>7} "
          f"{'LAST END':>9} {'JAIN':>6}")
    for way, row in result["real"].items():
        print_row(f"{way}, real", row)
    for row in result["simulated"]:
        more = f", +{row['launch_s']} s a run" if row["launch_s"] else ""
        print_row(f"sim {row['policy']}{more}", row)
    for row in result["bands"]:
        print(f"sim {row['policy']}: mean wait {row['mean_wait_s'][0]:.1f} s "
              f"({row['mean_wait_s'][1]} to {row['mean_wait_s'][2]}), p95 {row['p95_s'][0]:.1f} "
              f"({row['p95_s'][1]} to {row['p95_s'][2]}) over runs of 0 to 4 s more")
    print(f"\n{'':<38} {'MEAN RATIO':>10} {'APART MEAN':>10} {'P50':>6} {'P90':>6} "
          f"{'WITHIN 5 S':>10} {'RANKS':>6}")
    for row in result["nearness"]:
        name = f"{row['policy']} +{row['launch_s']} s to {row['real']}"
        print(f"{name:<38} {row['mean_ratio']:>10} {row['apart_mean_s']:>10} "
              f"{row['apart_p50_s']:>6} {row['apart_p90_s']:>6} {row['within_5_s']:>10.0%} "
              f"{row['rank_correlation'] or '-':>6}")
    for way, row in result["real"].items():
        print(f"{way}: a command took {row['said_p50_s']} s (p50), {row['said_most_s']} s at most "
              f"behind its moment; unhindered starts {row['unhindered_p50_s']} s (p50)")
    facts = result["machine"]
    print(f"{facts['cpu']}, {facts['cores']} cores, load {facts['load_at_start']} at the start; "
          f"Slurm {facts['slurm']}")
    print("\n".join(facts["slurm_conf"]))


if __name__ == "__main__":
    tell(result_of, print_table)
