"""A day's mix of jobs, out of days of real traces and scaled to minutes.

    day_jobs.py FOLDER --mix philly=1,alibaba_lingjun2023=6 --nodes 1250 --gpus 8 --minutes 10
                       --load 0.9 --seed 1

Prints a trace for kezek-sim. So many whole days of each trace, drawn by the seed, are laid over
each other: each job comes at its time of day and has its own GPUs. Run times, which decide the
load, are scaled by one factor so that all comes to --load, none longer than half of the time in
which they come: it would be the tail. Both are scaled to --minutes. A limit is half as long
again, and some minutes."""

import argparse
import csv
import math
import os
import random
import sys

from cross_jobs import COLUMNS, rows_of, shape_of

DAY_S = 86_400
# What a limit leaves besides the run: an srun on 90 nodes takes a minute where all share two cores.
SLACK_S = 300
LEAST = 20  # jobs of a day that is worth drawing


def days_of(path, options):
    """Lists of (second of the day, run time, GPUs, nodes, group), whole days alone."""
    days = {}
    for row in rows_of(path):
        gpus = math.ceil(float(row["gpus"]))
        nodes = shape_of(gpus, options.gpus, options.nodes) if gpus > 0 else None
        day, second = divmod(float(row["submit_s"]), DAY_S)
        if nodes:
            days.setdefault(day, []).append((second, float(row["duration_s"]), gpus, nodes,
                                             row["vc"] or row["trace"].replace("_", "-")))
    return [days[day] for day in sorted(days)[:-1] if len(days[day]) >= LEAST]


def mixed(options):
    dice = random.Random(options.seed)
    jobs = []
    for part in options.mix.split(","):
        trace, _, count = part.partition("=")
        days = days_of(os.path.join(options.folder, trace + ".csv.gz"), options)
        for _ in range(int(count)):
            jobs += dice.choice(days)
    return sorted(jobs)


def load_of(jobs, factor, options):
    """GPU time by the machine's, with runs as they will be: whole seconds of the bench."""
    span = options.minutes * 60
    return sum(run_of(job[1], factor, span) * job[2] for job in jobs) / span / (
        options.nodes * options.gpus)


def run_of(duration, factor, span):
    return max(1, min(span // 2, round(duration * span / DAY_S * factor)))


def factor_for(jobs, options):
    """By halving: the load only grows with it."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if load_of(jobs, middle, options) < options.load else (low,
                                                                                         middle)
    return high


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--mix", required=True)
    parser.add_argument("--seed", type=int, default=1)
    for name, kind in (("nodes", int), ("gpus", int), ("minutes", int), ("load", float)):
        parser.add_argument("--" + name, type=kind, required=True)
    options = parser.parse_args()
    jobs = mixed(options)
    if not jobs:
        sys.exit("day_jobs: the mix has no jobs")
    factor = factor_for(jobs, options)
    span = options.minutes * 60
    print(f"{len(jobs)} jobs, {sum(job[3] > 1 for job in jobs)} of several nodes; run times by "
          f"{factor:.2f} besides the day's scale, load {load_of(jobs, factor, options):.2f}",
          file=sys.stderr)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, (second, duration, gpus, nodes, group) in enumerate(jobs):
        run = run_of(duration, factor, span)
        writer.writerow((number, round(second * span / DAY_S, 2), run, gpus, nodes, group,
                         60 * math.ceil((run * 1.5 + SLACK_S) / 60)))


if __name__ == "__main__":
    main()
