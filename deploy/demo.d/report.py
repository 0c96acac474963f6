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
    ended = sum(counts[state] for state in STATES[3:])
    print(f"{time.strftime('%H:%M:%S')}  {counts['queued']} queued, {counts['starting']} starting, "
          f"{counts['running']} running on {gpus // 1000} GPUs, {ended} over"
          + (f" ({counts['failed']} failed)" if counts["failed"] else ""))
    return 0


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def weights(demo):
    """(guarantee, weight) of every account, in thousandths."""
    rows = {}
    for account in demo.kezek("admin", "account", "list").get("accounts", []):
        share = account.get("settings", {}).get("shares", {}).get("h200", {})
        rows[account.get("path", "")] = (number(share, "guarantee_milli_gpus"),
                                         int(share.get("weight_milli", 1000)))
    return rows


def entitled(accounts, institutions, capacity):
    """Weighted max-min with the guarantee as a floor, in GPUs, sector by sector: what an
    institution is entitled to while everybody wants more than there is."""

    def divide(total, shares):
        low, high = 0.0, 1e9
        for _ in range(200):  # bisection for the level λ
            level = (low + high) / 2
            if sum(max(level * weight, floor) for floor, weight in shares.values()) > total:
                high = level
            else:
                low = level
        return {name: max(low * weight, floor) for name, (floor, weight) in shares.items()}

    sectors = {path.split("/")[0] for path in institutions}
    result = {}
    for sector, part in divide(capacity, {s: accounts[s] for s in sectors}).items():
        inside = {i: accounts[i] for i in institutions if i.split("/")[0] == sector}
        result.update(divide(part, inside))
    return {name: milli / 1000 for name, milli in result.items()}


def summary(demo):
    groups = {}
    for job in demo.full_jobs():
        groups.setdefault(institution(job["project"]), []).append(job)
    if not groups:
        print("no jobs yet")
        return 0
    accounts = weights(demo)
    with open(os.path.join(demo.folder, "demo.conf"), encoding="utf-8") as file:
        capacity = 8000 * int(file.read().strip().removeprefix("nodes="))
    right = entitled(accounts, sorted(groups), capacity)
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
        print(f"  {name:30} {accounts[name][0] // 1000:9} {right[name]:8.1f} {len(jobs):5} "
              f"{done:5} {used / 60e6:12.1f} {100 * used / total:5.1f}%  {waited}")
    print("  ENTITLED: GPUs while all of these want more than there is; an idle part is lent.")
    return 0


def charge_of(job):
    return sum(number(attempt, "charge_milli_gpu_ms") for attempt in job.get("attempts", []))


if __name__ == "__main__":
    import check  # pylint: disable=import-outside-toplevel,wrong-import-position

    if len(sys.argv) != 3 or sys.argv[1] not in ("line", "summary", "check"):
        sys.exit(__doc__)
    COMMAND = {"line": line, "summary": summary, "check": check.check}[sys.argv[1]]
    sys.exit(COMMAND(Demo(sys.argv[2])))
