"""What tests/bench/run sdiag does to its Slurm.

    sdiag_drive.py submit --nodes N --jobs N --user NAME --token JWT
    sdiag_drive.py watch --name TEXT --parameters TEXT --seconds S --pid OF_SLURMCTLD

submit fills the nodes with jobs of four whole nodes and then lets --jobs wait: of one GPU to 32
nodes in the mix that tick_bench has, with limits of 1 to 48 hours. watch resets sdiag, waits (up to
five times as long for the end of a first backfill cycle), and prints its figures as a JSON line."""

import argparse
import http.client
import json
import os
import queue
import random
import re
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

SIZES = ((1, 1, 40), (1, 2, 20), (1, 4, 15), (1, 8, 12), (2, 8, 6), (4, 8, 4), (8, 8, 2),
         (32, 8, 1))


def body_of(nodes, gpus, hours, run, account):
    return {"script": f"#!/bin/bash\nexec sleep {run}\n",
            "job": {"name": "bench", "account": account, "partition": "gpu",
                    "environment": {"PATH": "/usr/bin:/bin"}, "current_working_directory": "/tmp",
                    "standard_output": "/dev/null", "standard_error": "/dev/null",
                    "nodes": f"{nodes}-{nodes}", "gres": f"gpu:h200:{gpus}",
                    "tasks_per_node": 1, "cpus_per_task": 8 * gpus, "time_limit": 60 * hours}}


def poster(jobs, options, bad):
    """Posts what the queue has, over one connection. On a busy machine slurmctld answers some too
    late: those are posted again, and what waits is counted in the end."""
    link = http.client.HTTPConnection(urlsplit(os.environ["SLURMRESTD_URL"]).netloc, timeout=120)
    headers = {"X-SLURM-USER-NAME": options.user, "X-SLURM-USER-TOKEN": options.token,
               "Content-Type": "application/json"}
    while True:
        try:
            body = jobs.get_nowait()
        except queue.Empty:
            return
        link.request("POST", "/slurm/v0.0.38/job/submit", json.dumps(body), headers)
        answer = link.getresponse()
        text = answer.read().decode()
        if not re.search(r'"job_id"\s*:\s*[1-9]', text):
            bad.append(text)
            if len(bad) < 100:
                jobs.put(body)


def post_all(bodies, options):
    jobs, bad = queue.Queue(), []
    for body in bodies:
        jobs.put(body)
    threads = [threading.Thread(target=poster, args=(jobs, options, bad)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(bad) >= 100:
        sys.exit(f"sdiag: {len(bad)} submissions failed: {bad[0]}")


def count(state):
    return len(patiently(["squeue", "-h", "-t", state, "-o", "%i"]).splitlines())


def submit(options):
    dice = random.Random(1)
    accounts = [f"bench-{letter}" for letter in "abcdefgh"]
    wide = options.nodes // 4
    # One ends every few seconds, evenly, as long as the bench may take.
    fill = [body_of(4, 8, dice.randint(1, 48), 120 + i * 1500 // wide, dice.choice(accounts))
            for i in range(wide)]
    began = time.monotonic()
    post_all(fill, options)
    while count("R") < wide * 95 // 100:
        if time.monotonic() - began > 300:
            sys.exit(f"sdiag: of {wide} jobs that fill the nodes {count('R')} run after 300 s")
        time.sleep(2)
    print(f"bench: {wide} jobs fill the nodes after {time.monotonic() - began:.0f} s",
          file=sys.stderr)
    began = time.monotonic()
    sizes = dice.choices(SIZES, [part for _, _, part in SIZES], k=options.jobs)
    post_all([body_of(nodes, gpus, dice.randint(1, 48), 900, dice.choice(accounts))
              for nodes, gpus, _ in sizes if nodes <= options.nodes], options)
    print(f"bench: {options.jobs} jobs submitted in {time.monotonic() - began:.0f} s",
          file=sys.stderr)


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def figures_of(text):
    """{"main": {name: number}, "backfill": {…}} of sdiag's text."""
    found, part = {"main": {}, "backfill": {}}, None
    for line in text.splitlines():
        if line.startswith("Main schedule"):
            part = "main"
        elif line.startswith("Backfilling stats"):
            part = "backfill"
        elif not line.startswith((" ", "\t")):
            part = None
        match = re.match(r"\s+(.+?):\s+(\d+)(?:\s|$)", line)
        if part and match:
            found[part][match[1].strip()] = int(match[2])
    return found


def patiently(command, seconds=300):
    """Its output, once slurmctld answers again: with many jobs a reconfiguration takes a while."""
    end = time.monotonic() + seconds
    while True:
        done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE)
        if done.returncode == 0:
            return done.stdout
        if time.monotonic() > end:
            sys.exit(f"sdiag: {' '.join(command)}: no answer in {seconds} s")
        time.sleep(2)


def watch(options):
    time.sleep(5)
    patiently(["sdiag", "--reset"])
    began, cpu = time.monotonic(), cpu_s(options.pid)
    while True:
        time.sleep(options.seconds)
        text = patiently(["sdiag"])
        if figures_of(text)["backfill"].get("Total cycles") or \
                time.monotonic() - began > 4 * options.seconds:
            break
    took = time.monotonic() - began
    with open(f"/proc/{options.pid}/status", encoding="utf-8") as file:
        memory = re.search(r"VmRSS:\s+(\d+)", file.read())
    print(json.dumps({"what": "sdiag", "name": options.name, "parameters": options.parameters,
                      "seconds": round(took), "load": round(os.getloadavg()[0], 2),
                      "cores_used": round((cpu_s(options.pid) - cpu) / took, 2),
                      "rss_mib": int(memory[1]) // 1024, "running": count("R"),
                      "waiting": count("PD"), **figures_of(text)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("submit")
    for name, kind in (("nodes", int), ("jobs", int), ("user", str), ("token", str)):
        one.add_argument("--" + name, type=kind, required=True)
    two = verbs.add_parser("watch")
    for name, kind in (("name", str), ("parameters", str), ("seconds", float), ("pid", int)):
        two.add_argument("--" + name, type=kind, required=True)
    options = parser.parse_args()
    {"submit": submit, "watch": watch}[options.verb](options)


if __name__ == "__main__":
    main()
