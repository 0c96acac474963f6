"""Quantiles of tests/bench/run latency: latency_figures.py table|json FACTS <raw lines.
Pair 0 warms up and is left out. `added` is against sbatch: difference of medians, ratio of p99."""

from figures import tell


def quantile(values, q):
    """The value at rank ceil(q n), from 1: with 100 values p99 is the second largest."""
    ranked = sorted(values)
    return ranked[max(0, -(-round(q * 1000) * len(ranked) // 1000) - 1)]


def figures_of(raw):
    result = {}
    for what in ("sbatch", "cli", "grpc"):
        values = [r["ms"] for r in raw if r["what"] == what and r["pair"] > 0]
        result[what] = {"starts": len(values), "p50_ms": quantile(values, 0.5),
                        "p90_ms": quantile(values, 0.9), "p99_ms": quantile(values, 0.99),
                        "most_ms": max(values)}
    base = result["sbatch"]
    for what in ("cli", "grpc"):
        result[what]["added_p50_ms"] = result[what]["p50_ms"] - base["p50_ms"]
        result[what]["ratio_p99"] = round(result[what]["p99_ms"] / base["p99_ms"], 2)
    return result


def print_table(result):
    names = {"sbatch": "sbatch", "cli": "kezek submit", "grpc": "Kezek over gRPC"}
    print(f"{'START BY':<16} {'STARTS':>6} {'P50 MS':>7} {'P90 MS':>7} {'P99 MS':>7} {'MOST':>6}  "
          f"{'ADDED P50':>9}  {'RATIO P99':>9}")
    for what, name in names.items():
        row = result[what]
        print(f"{name:<16} {row['starts']:>6} {row['p50_ms']:>7} {row['p90_ms']:>7} "
              f"{row['p99_ms']:>7} {row['most_ms']:>6}  {row.get('added_p50_ms', '-'):>9}  "
              f"{row.get('ratio_p99', '-'):>9}")
    facts = result["machine"]
    print(f"{facts['cpu']}, {facts['cores']} cores, load {facts['load_at_start']} at the start; "
          f"PostgreSQL {facts['postgresql']}, Slurm {facts['slurm']}")


def result_of(facts, raw):
    result = {"benchmark": "latency", "machine": facts}
    result.update(figures_of(raw))
    return result


if __name__ == "__main__":
    tell(result_of, print_table)
