"""Figures of tests/bench/run engine: engine_figures.py table|json FACTS <raw lines of tick_bench.
Those of the standard scene are medians of its rounds; the growths are slopes of the logarithm of
tick_ms_p50 over that of jobs, or of nodes, the standard scene among them."""

import math
import statistics

from figures import tell

AIMS = {"tick_ms_p99": 10, "cold_start_ms": 1000, "rss_mib": 1024, "decisions_per_s": 200000}
MEASURES = ("tick_ms_p50", "tick_ms_p99", "tick_ms_max", "cold_start_ms", "rss_mib",
            "decisions_per_s", "answers_per_s", "event_us_p99", "arrival_ms_p50", "arrival_ms_p99",
            "calibration_us", "running", "ticks")


def median_of(rows):
    return {name: round(statistics.median(row[name] for row in rows), 3) for name in MEASURES}


def phases_of(rows):
    names = sorted({name for row in rows for name in row["phases_ms"]})
    return {name: round(statistics.median(row["phases_ms"].get(name, 0) for row in rows), 3)
            for name in names}


def growth_of(rows, size):
    """Least squares; 0: no growth, 1: in proportion to the size."""
    points = [(math.log(row[size]), math.log(row["tick_ms_p50"])) for row in rows]
    if len({x for x, _ in points}) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return round(slope / sum((x - mean_x) ** 2 for x, _ in points), 3)


def print_table(result):
    names = ("nodes", "jobs", *MEASURES)
    print("  ".join(f"{name.upper().replace('_', ' '):>15}" for name in ("scene", *names)))
    for row in [result["standard"], *result["others"]]:
        print("  ".join(f"{row[name]:>15}" for name in ("scene", *names)))
    print("phases of a tick, ms: " + ", ".join(
        f"{name} {ms}" for name, ms in result["standard"]["phases_ms"].items()))
    for name, aim in AIMS.items():
        print(f"{name}: {result['standard'][name]}, aim {aim}")
    facts = result["machine"]
    print(f"growth of a tick: with jobs {result['growth_jobs']}, with nodes "
          f"{result['growth_nodes']}; {facts['cpu']}, {facts['cores']} cores, load "
          f"{facts['load_at_start']} at the start")


def result_of(facts, raw):
    rows = [row for row in raw if row["scene"] == "standard"]
    standard = {"scene": "standard", "nodes": rows[0]["nodes"], "jobs": rows[0]["jobs"],
                **median_of(rows), "phases_ms": phases_of(rows)}
    others = [row for row in raw if row["scene"] != "standard"]
    return {
        "benchmark": "engine", "machine": facts, "aims": AIMS, "standard": standard,
        "others": others,
        "growth_jobs": growth_of(
            [standard, *(row for row in others if row["scene"] == "jobs")], "jobs"),
        "growth_nodes": growth_of(
            [standard, *(row for row in others if row["scene"] == "nodes")], "nodes")}


if __name__ == "__main__":
    tell(result_of, print_table)
