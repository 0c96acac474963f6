"""Figures of tests/bench/run sdiag: sdiag_figures.py table|json FACTS <raw lines. slurmctld's are
by the wall clock, as sdiag has them; tick_bench's are processor time of its one thread."""

from figures import tell

TICK = ("tick_ms_p50", "tick_ms_p99", "tick_ms_max", "arrival_ms_p50", "arrival_ms_p99",
        "cold_start_ms", "rss_mib", "running", "jobs", "load")


def cycles(part, depth):
    return {"cycles": part.get("Total cycles", 0),
            "mean_ms": round(part.get("Mean cycle", 0) / 1000, 1),
            "max_ms": round(part.get("Max cycle", 0) / 1000, 1),
            "last_ms": round(part.get("Last cycle", 0) / 1000, 1),
            "depth": part.get(depth, 0), "last_depth": part.get("Last depth cycle"),
            "queue": part.get("Last queue length", 0)}


def result_of(facts, raw):
    slurm = []
    for row in (row for row in raw if row["what"] == "sdiag"):
        slurm.append({name: row[name] for name in ("name", "parameters", "seconds", "waiting",
                                                   "running", "cores_used", "rss_mib", "load")})
        slurm[-1]["main"] = cycles(row["main"], "Mean depth cycle")
        slurm[-1]["backfill"] = cycles(row["backfill"], "Depth Mean")
        slurm[-1]["backfill"]["tried"] = row["backfill"].get("Depth Mean (try depth)", 0)
    ticks = [{"promises": row["promises"], **{name: row[name] for name in TICK}}
             for row in raw if row["what"] == "tick"]
    return {"benchmark": "sdiag", "machine": facts, "slurm": slurm, "ticks": ticks}


def print_table(result):
    # A backfill cycle that did not end in the time has no mean; how far it came is its last depth.
    print(f"{'SLURMCTLD':<18} {'WAITING':>8} {'RUNNING':>8} {'CYCLE':>9} {'CYCLES':>7} "
          f"{'MEAN MS':>9} {'MAX MS':>9} {'DEPTH':>7} {'LAST':>6} {'CORES':>6} {'MIB':>6} "
          f"{'LOAD':>5}")
    for row in result["slurm"]:
        for part in ("main", "backfill"):
            one = row[part]
            print(f"{row['name']:<18} {row['waiting']:>8} {row['running']:>8} {part:>9} "
                  f"{one['cycles']:>7} {one['mean_ms']:>9} {one['max_ms']:>9} {one['depth']:>7} "
                  f"{'-' if one['last_depth'] is None else one['last_depth']:>6} "
                  f"{row['cores_used']:>6} {row['rss_mib']:>6} {row['load']:>5}")
    print()
    print("  ".join(f"{name.upper().replace('_', ' '):>14}" for name in ("promises", *TICK)))
    for row in result["ticks"]:
        print("  ".join(f"{row[name]:>14}" for name in ("promises", *TICK)))
    for row in result["slurm"]:
        print(f"{row['name']}: SchedulerParameters={row['parameters'] or '(none)'}")
    facts = result["machine"]
    print(f"{facts['cpu']}, {facts['cores']} cores, Slurm {facts['slurm']}")


if __name__ == "__main__":
    tell(result_of, print_table)
