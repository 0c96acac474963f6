#!/usr/bin/env python3
"""What the demo reads out of Kezek and Slurm: `report.py line|summary|check DIR`.

line      one line about the queue as it is
summary   each institution's guarantee, entitlement, use and waiting times
check     compares all attempts with Slurm's own records; exit status 1 if anything differs
"""

import json
import os
import statistics
import subprocess
import sys
import time

STATES = ("queued", "starting", "running", "succeeded", "failed", "timed_out", "cancelled")


class Demo:
    """The running demo in one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.env = dict(os.environ, KEZEK_CONFIG="/dev/null")
        with open(os.path.join(folder, "env"), encoding="utf-8") as file:
            for line in file:
                name, _, value = line.removeprefix("export ").strip().partition("=")
                if name != "PATH":
                    self.env[name] = value
        with open(os.path.join(folder, "kezek/admin.token"), encoding="utf-8") as file:
            self.env["KEZEK_TOKEN"] = file.read().strip()
        self.program = os.path.join(folder, "bin/kezek")

    def run(self, *command, env=None):
        done = subprocess.run(command, env=env or self.env, check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            sys.exit(f"report: {' '.join(command[:4])} …: {done.stderr.strip()}")
        return done.stdout

    def kezek(self, *arguments):
        return json.loads(self.run(self.program, *arguments, "-o", "json"))

    def jobs(self, *filters):
        """The latest state of every job and array element that has been made."""
        rows = self.kezek("queue", "--all", "--ended", "--elements", "--limit", "1000000", *filters)
        return rows.get("jobs", [])

    def full_jobs(self):
        """The same with all attempts; arrays themselves are left out, their elements are not."""
        names = [job["job"] for job in self.jobs() if "array" not in job]
        full = []
        for start in range(0, len(names), 200):
            full += self.kezek("show", *names[start:start + 200]).get("jobs", [])
        return full


def number(message, field):
    return int(message.get(field, 0))


def state_of(job):
    return job["state"].removeprefix("JOB_STATE_").lower()


def institution(path):
    return "/".join(path.split("/")[:2])


def line(demo):
    counts = dict.fromkeys(STATES, 0)
    gpus = 0
    for job in demo.jobs():
        if "array" in job:  # what of it has no row of its own
            counts["queued"] += number(job["array"], "queued")
            continue
        if "array_index" in job and state_of(job) == "queued":
            continue
        counts[state_of(job)] += 1
        if state_of(job) in ("starting", "running"):
            gpus += number(job, "counted_milli_gpus")
    entitlements(demo)
    ended = sum(counts[state] for state in STATES[3:])
    print(f"{time.strftime('%H:%M:%S')}  {counts['queued']} queued, {counts['starting']} starting, "
          f"{counts['running']} running on {gpus // 1000} GPUs, {ended} over"
          + (f" ({counts['failed']} failed)" if counts["failed"] else ""))
    return 0


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def entitlements(demo):
    """What `kezek quota` says of each account, at the moment of this demo when most was wanted."""
    path = os.path.join(demo.folder, "quota.json")
    rows = {row.get("account", ""): row for row in demo.kezek("quota").get("rows", [])}
    kept = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
    wanted, wanted_before = (number(quota.get("", {}), "demand_milli_gpus")
                             for quota in (rows, kept))
    if wanted >= wanted_before:
        kept = rows
        with open(path, "w", encoding="utf-8") as file:
            json.dump(rows, file)
    return kept


def summary(demo):
    groups = {}
    for job in demo.full_jobs():
        groups.setdefault(institution(job["project"]), []).append(job)
    if not groups:
        print("no jobs yet")
        return 0
    quota = entitlements(demo)
    total = sum(charge_of(job) for jobs in groups.values() for job in jobs) or 1
    print(f"  {'INSTITUTION':30} {'GUARANTEE':>9} {'ENTITLED':>8} {'JOBS':>5} {'DONE':>5} "
          f"{'USED GPU-MIN':>12} {'PART':>6}  WAITED p50 / longest")
    for name in sorted(groups, key=lambda n: -sum(charge_of(j) for j in groups[n])):
        jobs = groups[name]
        used = sum(charge_of(job) for job in jobs)
        waits = sorted((number(a, "start_ms") - number(job, "submitted_ms")) / 1000
                       for job in jobs for a in job.get("attempts", [])[:1]
                       if number(a, "start_ms"))
        waited = f"{clock(max(0, statistics.median(waits)))} / {clock(waits[-1])}" if waits else "-"
        done = sum(state_of(job) == "succeeded" for job in jobs)
        row = quota.get(name, {})
        print(f"  {name:30} {number(row, 'guarantee_milli_gpus') // 1000:9} "
              f"{number(row, 'entitlement_milli_gpus') / 1000:8.1f} {len(jobs):5} "
              f"{done:5} {used / 60e6:12.1f} {100 * used / total:5.1f}%  {waited}")
    print("  ENTITLED: GPUs by `kezek quota` when most was wanted; an idle part is lent.")
    return 0


def charge_of(job):
    return sum(number(attempt, "charge_milli_gpu_ms") for attempt in job.get("attempts", []))


if __name__ == "__main__":
    import check  # pylint: disable=import-outside-toplevel,wrong-import-position

    if len(sys.argv) != 3 or sys.argv[1] not in ("line", "summary", "check"):
        sys.exit(__doc__)
    COMMAND = {"line": line, "summary": summary, "check": check.check}[sys.argv[1]]
    sys.exit(COMMAND(Demo(sys.argv[2])))
