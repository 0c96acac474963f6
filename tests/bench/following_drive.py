"""What tests/bench/run following does besides kezekd.

    following_drive.py stream --rate N --seconds S --folder DIR   submits short jobs by kezek
    following_drive.py queue --jobs N --user NAME --token JWT     held jobs, to slurmrestd
    following_drive.py counters MEMBERS <metrics                  what kezekd counted
    following_drive.py heard <slurmctld.log                       when jobs started and ended there

Each prints JSON lines, one for each job or moment."""

import argparse
import datetime
import http.client
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

SCRIPT = """#!/bin/bash
echo "$EPOCHREALTIME" >'{stamp}'
sleep {run}
echo "$EPOCHREALTIME" >>'{stamp}'
"""
LONGEST_S = 8
SAMPLE = re.compile(r'kezek_slurm_request(s_total|_seconds_sum)\{(.*)\} (\S+)')
HEARD = re.compile(r"\[(\S+)\] .*?(Allocate|Started|_job_complete:) JobId=(\d+)(_\d+\(\d+\))?(.*)")


def submit(number, folder, run, said):
    """One job; said gets its number."""
    script = os.path.join(folder, f"{number}.sh")
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(stamp=os.path.join(folder, str(number)), run=run))
    done = subprocess.run(["kezek", "submit", "-o", "name", "-N", "1", "--gpus-per-node=1", "-t",
                           "5", script], cwd="/tmp", text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        said[number] = done.stdout
    else:
        said[number] = int(done.stdout.strip())


def stamps_of(path):
    try:
        with open(path, encoding="utf-8") as file:
            return [float(line) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


class Heartbeat(threading.Thread):
    """The longest time for which nothing could run here: a paused machine spoils every figure."""

    def __init__(self):
        super().__init__(daemon=True)
        self.worst = 0.0

    def run(self):
        last = time.monotonic()
        while True:
            time.sleep(0.05)
            now = time.monotonic()
            self.worst, last = max(self.worst, now - last - 0.05), now


def stream(options):
    heart = Heartbeat()
    heart.start()
    dice = random.Random(1)
    began, said, threads = time.monotonic(), {}, []
    for number in range(round(options.rate * options.seconds)):
        # Not in step with anybody's second.
        at = (number + dice.random()) / options.rate
        time.sleep(max(0.0, began + at - time.monotonic()))
        thread = threading.Thread(target=submit, args=(
            number, options.folder, round(dice.uniform(1, LONGEST_S), 2), said))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    refused = [text for text in said.values() if isinstance(text, str)]
    if refused:
        sys.exit(f"following: {len(refused)} submissions failed: {refused[0]}")
    end = time.monotonic() + LONGEST_S + 120
    left = set(said)
    while left and time.monotonic() < end:
        left = {one for one in left
                if len(stamps_of(os.path.join(options.folder, str(one)))) < 2}
        time.sleep(0.5)
    if left:
        sys.exit(f"following: {len(left)} of {len(said)} jobs have not ended")
    for number, job in sorted(said.items()):
        first, last = stamps_of(os.path.join(options.folder, str(number)))
        print(json.dumps({"what": "job", "job": job, "first_s": first, "last_s": last,
                          "stood_still_s": round(heart.worst, 2)}))


def queue(options):
    link = http.client.HTTPConnection(urlsplit(os.environ["SLURMRESTD_URL"]).netloc, timeout=120)
    headers = {"X-SLURM-USER-NAME": options.user, "X-SLURM-USER-TOKEN": options.token,
               "Content-Type": "application/json"}
    body = {"script": "#!/bin/bash\nexit 0\n",
            "job": {"name": "waits", "account": "bench", "environment": {"PATH": "/usr/bin:/bin"},
                    "current_working_directory": "/tmp", "standard_output": "/dev/null",
                    "standard_error": "/dev/null", "nodes": "1-1", "gres": "gpu:h200:1",
                    "time_limit": 60, "hold": True}}
    for _ in range(options.jobs):
        link.request("POST", "/slurm/v0.0.38/job/submit", json.dumps(body), headers)
        text = link.getresponse().read().decode()
        if not re.search(r'"job_id"\s*:\s*[1-9]', text):
            sys.exit(f"following: a held job was refused: {text[:500]}")


def counters(options):
    """Requests by call, the seconds that they took, and how often each was not answered well."""
    row = {"what": "counters", "at_s": time.time(), "cpu_ms": json.loads(options.members),
           "calls": {}, "seconds": {}, "bad": {}}
    for line in sys.stdin:
        found = SAMPLE.match(line)
        if not found:
            continue
        labels = dict(re.findall(r'(\w+)="([^"]*)"', found.group(2)))
        call, value = labels["call"], float(found.group(3))
        if found.group(1) == "_seconds_sum":
            row["seconds"][call] = value
            continue
        row["calls"][call] = row["calls"].get(call, 0) + value
        if labels["outcome"] in ("lost", "not_sent"):
            row["bad"][call] = row["bad"].get(call, 0) + value
    if not row["calls"]:
        sys.exit("following: kezekd's metrics have no requests to slurmrestd")
    print(json.dumps(row))


def heard():
    """slurmctld's own log, whose clock has milliseconds where its answers have whole seconds."""
    for line in sys.stdin:
        found = HEARD.match(line)
        if not found or (found.group(2) == "_job_complete:" and "done" not in found.group(5)):
            continue
        at = datetime.datetime.fromisoformat(found.group(1)).timestamp()
        print(json.dumps({"what": "ended" if found.group(2) == "_job_complete:" else "started",
                          "slurm": int(found.group(3)), "at_s": at}))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("stream", "queue", "counters", "heard"))
    parser.add_argument("members", nargs="?", default="{}")
    parser.add_argument("--rate", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--folder")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--user")
    parser.add_argument("--token")
    options = parser.parse_args()
    if options.verb == "heard":
        return heard()
    return {"stream": stream, "queue": queue, "counters": counters}[options.verb](options)


if __name__ == "__main__":
    sys.exit(main())
