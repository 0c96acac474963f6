"""Figures of tests/bench/run day: day_figures.py table|json FACTS GPUS MINUTES <raw lines.
Quantiles of ticks are read off kezekd's histogram, straight within a bucket."""

import json
import sys

from figures import tell
from following_figures import requests_of, spans_of
from latency_figures import quantile


def more(raw, member):
    """What grew between the first and the last reading."""
    first, last = (row for row in raw if row["what"] == "ticks")
    return {name: value - first[member].get(name, 0) for name, value in last[member].items()}


def histogram(raw, name):
    """(upper bound in ms, how many are at most that), of what came meanwhile."""
    first, last = (row["buckets"][name] for row in raw if row["what"] == "ticks")
    return sorted((float(le) * 1000, last[le] - first.get(le, 0)) for le in last)


def quantile_of(buckets, q):
    wanted = q * buckets[-1][1]
    below, seen = 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted and count > seen:
            if bound == float("inf"):
                return below
            return round(below + (bound - below) * (wanted - seen) / (count - seen), 1)
        below, seen = bound, count
    return below


def ticks_of(raw):
    sums = more(raw, "sums")
    count = sums["tick_seconds_count"]
    buckets = histogram(raw, "tick_seconds")
    return {"ticks": int(count), "mean_ms": round(1000 * sums["tick_seconds_sum"] / count, 1),
            "p50_ms": quantile_of(buckets, 0.5), "p99_ms": quantile_of(buckets, 0.99),
            "longest_below_ms": next(bound for bound, at_most in buckets if at_most >= count),
            "phases_mean_ms": {name: round(1000 * value / count, 2) for name, value in
                               sorted(more(raw, "phases").items(), key=lambda one: -one[1])},
            "busy_s": {name: round(value, 1) for name, value in more(raw, "busy").items()},
            "commit_p99_ms": quantile_of(histogram(raw, "commit_seconds"), 0.99)}


def spans(raw):
    once = {row["job"] for row in raw if row["what"] == "job" and row.get("attempt") == 1}
    kept = [row for row in raw if row["what"] not in ("job", "event") or row["job"] in once]
    return {name: {"jobs": len(values), "p50_ms": quantile(values, 0.5),
                   "p95_ms": quantile(values, 0.95), "most_ms": max(values)}
            for name, values in spans_of(kept).items() if values}


def use_of(jobs, gpus, span):
    """GPU time held by scripts, and what jobs came for, by the machine's time."""
    def held(until):
        return sum(job["gpus"] * max(0.0, min(job["last_s"] - job["begin_s"], until) -
                                     (job["first_s"] - job["begin_s"]))
                   for job in jobs if job["first_s"] - job["begin_s"] < until)
    last = max(job["last_s"] - job["begin_s"] for job in jobs)
    busiest = max(jobs_running(jobs), default=0)
    return {"offered": round(sum(job["run_s"] * job["gpus"] for job in jobs) / gpus / span, 3),
            "used_coming": round(held(span) / gpus / span, 3),
            "used": round(held(last) / gpus / last, 3), "last_end_s": round(last),
            "most_running": busiest, "most_gpus": most_gpus(jobs)}


def changes_of(jobs):
    return sorted([(job["first_s"], 1, job["gpus"]) for job in jobs] +
                  [(job["last_s"], -1, -job["gpus"]) for job in jobs])


def jobs_running(jobs):
    running = 0
    for _, change, _ in changes_of(jobs):
        running += change
        yield running


def most_gpus(jobs):
    used = most = 0
    for _, _, change in changes_of(jobs):
        used += change
        most = max(most, used)
    return most


def result_of(facts, raw):
    gpus, span = int(sys.argv[3]), int(sys.argv[4]) * 60
    jobs = [row for row in raw if row["what"] == "job"]
    ran = [job for job in jobs if "first_s" in job]
    waits = [job["first_s"] - job["begin_s"] - job["submit_s"] for job in ran]
    begun = sorted(job["first_s"] for job in ran)
    busiest = max(sum(at <= other < at + 10 for other in begun) for at in begun[::10]) / 10
    [judges] = [row for row in raw if row["what"] == "judges"]
    [memory] = [row for row in raw if row["what"] == "memory"]
    [books] = [row for row in raw if row["what"] == "reconcile"]
    return {"benchmark": "day", "machine": facts, "gpus": gpus, "jobs": len(jobs),
            "gangs": sum(job["nodes"] > 1 for job in jobs),
            "widest_nodes": max(job["nodes"] for job in jobs),
            "not_at_first": sum(job.get("attempt") != 1 for job in jobs),
            "starts_per_s_busiest_10_s": busiest,
            "wait_p50_s": round(quantile(waits, 0.5), 2),
            "wait_p95_s": round(quantile(waits, 0.95), 2), "wait_most_s": round(max(waits), 1),
            "use": use_of(ran, gpus, span), "ticks": ticks_of(raw), "requests": requests_of(raw),
            "seen": spans(raw), "peak_mib": memory["peak_mib"], "judges": judges,
            "reconcile": books}


def print_table(result):
    use, ticks, asked = result["use"], result["ticks"], result["requests"]
    print(f"{result['jobs']} jobs, {result['gangs']} of several nodes (up to "
          f"{result['widest_nodes']}), on {result['gpus']} GPUs; {result['not_at_first']} of them "
          f"not in their first attempt; at most {use['most_running']} jobs and "
          f"{use['most_gpus']} GPUs at a time, {result['starts_per_s_busiest_10_s']} starts a "
          f"second at the busiest")
    print(f"offered {use['offered']:.1%}, used {use['used_coming']:.1%} while they came and "
          f"{use['used']:.1%} until the last end, {use['last_end_s']} s; waits "
          f"{result['wait_p50_s']} s (p50), {result['wait_p95_s']} s (p95), at most "
          f"{result['wait_most_s']} s")
    print(f"judges: {result['judges']}\nreconcile: {result['reconcile']}")
    print(f"{ticks['ticks']} ticks: p50 {ticks['p50_ms']} ms, p99 {ticks['p99_ms']} ms, the "
          f"longest below {ticks['longest_below_ms']:g} ms, mean {ticks['mean_ms']} ms; commits' "
          f"p99 {ticks['commit_p99_ms']} ms\nphases' means, ms: "
          f"{json.dumps(ticks['phases_mean_ms'])}; busy, s: {json.dumps(ticks['busy_s'])}")
    print(f"\n{'COMMITTED AFTER':<36} {'JOBS':>5} {'P50 MS':>8} {'P95 MS':>8} {'MOST':>8}")
    for name, row in result["seen"].items():
        print(f"{name:<36} {row['jobs']:>5} {row['p50_ms']:>8} {row['p95_ms']:>8} "
              f"{row['most_ms']:>8}")
    print(f"\n{'REQUESTS':<12} {'PER S':>6} {'MEAN MS':>8}")
    for call, rate in asked["per_s"].items():
        print(f"{call:<12} {rate:>6} {asked['mean_ms'].get(call, '-'):>8}")
    print(f"reading {asked['reading_per_s']}, in all {asked['all_per_s']} a second for "
          f"{asked['jobs_per_s']} jobs a second over {asked['seconds']} s; {asked['unanswered']} "
          f"not answered; the machine stood still for up to {asked['stood_still_s']} s")
    print("cores used: " + ", ".join(f"{name} {cores}"
                                     for name, cores in asked["cores_used"].items()) +
          "; processor s: " + ", ".join(f"{name} {cores * asked['seconds']:.0f}" for name, cores
                                        in asked["cores_used"].items()) +
          "; peak MiB: " + ", ".join(f"{name} {mib}" for name, mib in result["peak_mib"].items()))
    facts = result["machine"]
    print(f"{facts['cpu']}, {facts['cores']} cores, load {facts['load_at_start']} at the start; "
          f"PostgreSQL {facts['postgresql']}, Slurm {facts['slurm']}")


if __name__ == "__main__":
    tell(result_of, print_table)
