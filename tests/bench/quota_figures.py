"""Medians of tests/bench/run quota: quota_figures.py table|json FACTS <raw lines of quota_bench.
Round 0 warms up and is left out. `growth` is the slope of log(pick_ns) over log(jobs)."""

import math
import statistics

from figures import tell

MEASURES = ("pick_ns", "first_pick_ns", "charge_ns", "change_ns", "begin_us", "reweight_us",
            "entitlement_ms", "calibration_us")


def median_of(rows, name):
    return statistics.median(row[name] for row in rows if row[name] > 0)


def figures_of(raw):
    result = []
    for jobs in sorted({row["jobs"] for row in raw}):
        rows = [row for row in raw if row["jobs"] == jobs and row["round"] > 0]
        figures = {"jobs": jobs}
        figures.update({name: round(median_of(rows, name), 3) for name in MEASURES})
        figures["naive_ratio"] = round(median_of(rows, "naive_ns") / figures["pick_ns"], 1)
        result.append(figures)
    return result


def growth_of(figures, name):
    """Least squares; 0: no growth, 1: in proportion to the jobs."""
    if len(figures) < 2:
        return 0.0
    points = [(math.log(row["jobs"]), math.log(row[name])) for row in figures]
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return round(slope / sum((x - mean_x) ** 2 for x, _ in points), 3)


def print_table(result):
    names = ("jobs", *MEASURES, "naive_ratio")
    print("  ".join(f"{name.upper().replace('_', ' '):>14}" for name in names))
    for row in result["quota"]:
        print("  ".join(f"{row[name]:>14}" for name in names))
    facts = result["machine"]
    print(f"growth of a pick with the jobs: exponent {result['growth']}; {facts['cpu']}, "
          f"{facts['cores']} cores, load {facts['load_at_start']} at the start")


def result_of(facts, raw):
    figures = figures_of(raw)
    return {"benchmark": "quota", "machine": facts, "accounts": 2000, "quota": figures,
            "growth": growth_of(figures, "pick_ns")}


if __name__ == "__main__":
    tell(result_of, print_table)
