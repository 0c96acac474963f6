"""Submits a list of jobs, each at its moment, and waits until all have ended.

    cross_drive.py sbatch|kezek JOBS.csv FOLDER BEGIN --most SECONDS

BEGIN is the moment of second 0, since the epoch. Each job's script writes when it began and ended,
on the clock that also sets its submission, so that both ways are measured alike. One command
after the other, as one user types them: a burst takes as long as the commands do. Prints a JSON
line for each job: what, job_id, submit_s, said_s (the command was over), start_s, end_s."""

import argparse
import csv
import json
import os
import subprocess
import sys
import time

SCRIPT = """#!/bin/bash
echo "$EPOCHREALTIME" >'{stamp}'
sleep {run}
echo "$EPOCHREALTIME" >>'{stamp}'
"""


def command(way, job, script):
    gpus, nodes = int(job["gpus"]), int(job["nodes"])
    shape = ["-N", str(nodes), "--ntasks-per-node=1", "-c", str(2 * gpus // nodes),
             f"--gres=gpu:h200:{gpus // nodes}", "-t", str(int(job["req_walltime_s"]) // 60)]
    if way == "sbatch":
        return ["sbatch", "-A", job["vc"], "-o", "/dev/null", "-D", "/tmp", *shape, script]
    return ["kezek", "submit", "-A", f"{os.environ['CROSS_PARENT']}/{job['vc']}", *shape, script]


def submit(way, jobs, folder, begin):
    said = {}
    for job in jobs:
        script = os.path.join(folder, f"{way}.{job['job_id']}.sh")
        stamp = os.path.join(folder, f"{way}.{job['job_id']}")
        with open(script, "w", encoding="utf-8") as file:
            file.write(SCRIPT.format(stamp=stamp, run=job["duration_s"]))
        time.sleep(max(0.0, begin + int(job["submit_s"]) - time.time()))
        done = subprocess.run(command(way, job, script), cwd="/tmp", text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            sys.exit(f"{way}: job {job['job_id']}: {done.stdout}")
        said[job["job_id"]] = time.time() - begin
        if len(said) % 50 == 0:
            print(f"{way}: {len(said)} of {len(jobs)} jobs submitted", file=sys.stderr)
    return said


def stamps_of(way, job, folder, begin):
    """When it began and ended; shorter while it has not."""
    try:
        with open(os.path.join(folder, f"{way}.{job['job_id']}"), encoding="utf-8") as file:
            return [float(line) - begin for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=("sbatch", "kezek"))
    parser.add_argument("jobs")
    parser.add_argument("folder")
    parser.add_argument("begin", type=float)
    parser.add_argument("--most", type=float, required=True, help="seconds after BEGIN, then stop")
    options = parser.parse_args()
    with open(options.jobs, encoding="utf-8") as file:
        jobs = list(csv.DictReader(file))
    said = submit(options.way, jobs, options.folder, options.begin)
    end = options.begin + options.most
    while True:
        seen = {job["job_id"]: stamps_of(options.way, job, options.folder, options.begin)
                for job in jobs}
        left = [name for name, stamps in seen.items() if len(stamps) < 2]
        if not left:
            break
        if time.time() > end:
            sys.exit(f"{options.way}: {len(left)} jobs have not ended in {options.most} s, "
                     f"{left[:5]} among them")
        time.sleep(2)
    for job in jobs:
        start, stop = seen[job["job_id"]]
        print(json.dumps({"what": options.way, "job_id": job["job_id"],
                          "submit_s": int(job["submit_s"]), "gpus": int(job["gpus"]),
                          "group": job["vc"], "said_s": round(said[job["job_id"]], 3),
                          "start_s": round(start, 3), "end_s": round(stop, 3)}))


if __name__ == "__main__":
    main()
