"""Medians over the rounds of tests/bench/run submit: submit_figures.py table|json FACTS <raw lines.
A ratio is taken within a round, between runs a few seconds apart; its median is over the rounds."""

import statistics

from figures import tell

PEERS = {"pgbench": "ratio_pg_commit", "sbatch": "ratio_sbatch", "slurmrestd": "ratio_slurmrestd"}


class Runs:
    def __init__(self, raw):
        self.of = {(r["what"], r["clients"], r["many"], r["round"]): r["per_s"] for r in raw}
        self.rounds = sorted({r["round"] for r in raw})

    def per_s(self, what, clients, many):
        values = [self.of.get((what, clients, many, n)) for n in self.rounds]
        values = [v for v in values if v is not None]
        return round(statistics.median(values), 1) if values else None

    def ratio(self, over, under):
        """Median of the rounds' ratios of two (what, clients, many)."""
        ratios = []
        for number in self.rounds:
            above, below = self.of.get((*over, number)), self.of.get((*under, number))
            if above is not None and below:
                ratios.append(above / below)
        return round(statistics.median(ratios), 2) if ratios else None


def figures_of(raw):
    runs = Runs(raw)
    singles = sorted({r["clients"] for r in raw if r["many"] == 0})
    batches = sorted({(r["clients"], r["many"]) for r in raw if r["many"] > 0})
    submit, many = [], []
    for clients in singles:
        row = {"clients": clients, "submits_per_s": runs.per_s("kezek", clients, 0)}
        for peer, name in PEERS.items():
            row[peer + "_per_s"] = runs.per_s(peer, clients, 0)
            row[name] = runs.ratio(("kezek", clients, 0), (peer, clients, 0))
        submit.append(row)
    for clients, size in batches:
        batch = ("kezek", clients, size)
        many.append({
            "clients": clients, "batch": size, "submits_per_s": runs.per_s(*batch),
            "ratio_submit": runs.ratio(batch, ("kezek", clients, 0)),
            "ratio_pg_commit": runs.ratio(batch, ("pgbench", clients, 0)),
        })
    return {"submit": submit, "submit_many": many}


def cell(value):
    return "-" if value is None else f"{value:,}"


def print_table(result):
    print(f"{'CLIENTS':>7}  {'SUBMITS/S':>9}  {'PGBENCH':>8}  {'RATIO':>6}  {'SBATCH':>7}  "
          f"{'RATIO':>6}  {'SLURMRESTD':>10}  {'RATIO':>6}")
    for row in result["submit"]:
        print(f"{row['clients']:>7}  {cell(row['submits_per_s']):>9}  "
              f"{cell(row['pgbench_per_s']):>8}  {cell(row['ratio_pg_commit']):>6}  "
              f"{cell(row['sbatch_per_s']):>7}  {cell(row['ratio_sbatch']):>6}  "
              f"{cell(row['slurmrestd_per_s']):>10}  {cell(row['ratio_slurmrestd']):>6}")
    for row in result["submit_many"]:
        print(f"SubmitMany, {row['clients']} clients, batches of {row['batch']}: "
              f"{cell(row['submits_per_s'])} submissions/s, {cell(row['ratio_submit'])} times "
              f"Submit and {cell(row['ratio_pg_commit'])} times pgbench with as many clients")
    facts = result["machine"]
    print(f"{facts['cpu']}, {facts['cores']} cores, load {facts['load_at_start']} at the start; "
          f"{facts['file_system']}, {facts['flush_8k_us']} µs a flush; "
          f"PostgreSQL {facts['postgresql']}, Slurm {facts['slurm']}; "
          f"medians of {result['rounds']} rounds")


def result_of(facts, raw):
    result = {"benchmark": "submit", "rounds": max(r["round"] for r in raw), "machine": facts}
    result.update(figures_of(raw))
    return result


if __name__ == "__main__":
    tell(result_of, print_table)
