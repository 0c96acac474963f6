"""The jobs of the cross-check, cut out of a real trace and scaled to minutes.

    cross_jobs.py TRACE.csv.gz --jobs 300 --nodes 24 --gpus 8 --minutes 25 --load 0.95 [--first N]

Prints a trace for kezek-sim: run times and limits in seconds, limits in whole minutes as Slurm's
are. The window is, of those that begin at multiples of --jobs and whose own load on this machine is
at least 0.7 of --load, the one with the most jobs of several nodes (or the one that begins at the
N-th job), without what runs for half of that time and more; then run times are scaled to that load,
and all times to the minutes. Where the trace's unit is the node, a node stands for one with --gpus
GPUs. --launch adds so many seconds to each run time."""

import argparse
import csv
import gzip
import math
import sys

COLUMNS = ("job_id", "submit_s", "duration_s", "gpus", "nodes", "vc", "req_walltime_s")
SLACK_S = 15  # what a limit leaves a job besides its run: starts of processes are not free


def rows_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if float(row["duration_s"] or 0) > 0]


def shape_of(gpus, per_node, nodes):
    """Fewest nodes with equally many GPUs on each; none: the machine has no room for it."""
    return next((n for n in range(1, nodes + 1) if gpus % n == 0 and gpus // n <= per_node), None)


def fitting(rows, options):
    """(job_id, submit_s, duration_s, gpus, nodes, group, limit_s or none) of what has room."""
    by_node = all(row["nodes"] == row["gpus"] for row in rows)
    found = []
    for row in rows:
        gpus = math.ceil(float(row["gpus"])) * (options.gpus if by_node else 1)
        nodes = shape_of(gpus, options.gpus, options.nodes) if gpus > 0 else None
        if nodes:
            limit = float(row["req_walltime_s"]) if row["req_walltime_s"] else None
            found.append((row["job_id"], float(row["submit_s"]), float(row["duration_s"]), gpus,
                          nodes, row["vc"] or "all", limit))
    return sorted(found, key=lambda job: job[1])


def load_of(jobs, capacity):
    span = jobs[-1][1] - jobs[0][1]
    return sum(job[2] * job[3] for job in jobs) / capacity / max(span, 1.0)


def without_long(jobs):
    """None that runs for over half of the time in which they all come: it would be the tail."""
    span = jobs[-1][1] - jobs[0][1] if jobs else 0
    return [job for job in jobs if job[2] <= span / 2]


def window(jobs, options):
    """The jobs to run, and the load that they had on this machine as they came."""
    capacity = options.nodes * options.gpus
    if options.first is not None:
        starts = [options.first]
    else:
        starts = range(0, len(jobs) - options.jobs + 1, options.jobs)
    parts = [without_long(jobs[start:start + options.jobs]) for start in starts]
    parts = [part for part in parts if len(part) > 1]
    if not parts:
        sys.exit("cross_jobs: the trace has too few jobs")
    loaded = [part for part in parts if load_of(part, capacity) >= 0.7 * options.load]
    best = max(loaded or parts, key=lambda part: sum(job[4] > 1 for job in part))
    return best, load_of(best, capacity)


def scaled(jobs, own_load, options):
    """Run times by one factor, so that the window lasts --minutes at --load; submissions by that
    factor and what the load wants besides."""
    span = jobs[-1][1] - jobs[0][1]
    arrivals = options.minutes * 60 / span
    runs = arrivals * options.load / own_load
    for name, submit, duration, gpus, nodes, group, limit in jobs:
        run = max(1, round(duration * runs))
        wanted = run + SLACK_S if limit is None else max(limit * runs, run + SLACK_S)
        yield (name, round((submit - jobs[0][1]) * arrivals), run + options.launch, gpus, nodes,
               group, 60 * math.ceil(wanted / 60))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace")
    parser.add_argument("--launch", type=int, default=0)
    parser.add_argument("--first", type=int)
    for name, kind in (("jobs", int), ("nodes", int), ("gpus", int), ("minutes", float),
                       ("load", float)):
        parser.add_argument("--" + name, type=kind, required=True)
    options = parser.parse_args()
    jobs, own_load = window(fitting(rows_of(options.trace), options), options)
    print(f"{len(jobs)} jobs, their load as they came {own_load:.2f}", file=sys.stderr)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(scaled(jobs, own_load, options))


if __name__ == "__main__":
    main()
