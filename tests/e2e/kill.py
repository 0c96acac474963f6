"""Goal: kezekd killed at random moments loses no submission it acknowledged and runs nothing twice.

Method: clients submit no-op jobs through the command line while kezekd is killed with SIGKILL again
and again, at moments drawn from a seed. Each job creates a file named after its number and attempt
that must not exist yet, and puts Slurm's job id into it. Then, of all jobs: every acknowledged one
is there and has succeeded; of each attempt there is at most one file; and Slurm's accounting, the
second judge, knows exactly one run of each attempt that Kezek says has started, and no other."""

import collections
import json
import os
import random
import re
import threading
import time

CLIENTS = 6
SCRIPT = """#!/bin/sh
#SBATCH --job-name=once
#SBATCH --gpus=1
#SBATCH --time=5
#SBATCH --output=/dev/null
set -C
if ! echo "$SLURM_JOB_ID" >"{folder}/$KEZEK_JOB_ID.$KEZEK_ATTEMPT"; then
  echo "$SLURM_JOB_ID" >"{folder}/twice.$KEZEK_JOB_ID.$KEZEK_ATTEMPT.$SLURM_JOB_ID"
  exit 1
fi
"""


class Submitters:
    """Threads that submit, each time with what `words` gives, until `jobs` are acknowledged."""

    def __init__(self, cluster, jobs, words, clients=CLIENTS):
        self.cluster, self.jobs, self.words = cluster, jobs, words
        self.lock = threading.Lock()
        self.acknowledged, self.unanswered, self.wrong = [], 0, []
        self.threads = [threading.Thread(target=self.work) for _ in range(clients)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()

    def enough(self):
        with self.lock:
            return len(self.acknowledged) >= self.jobs or bool(self.wrong)

    def work(self):
        try:
            self.submit()
        except BaseException as problem:
            self.wrong.append(f"a submitter: {problem!r}")
            raise

    def submit(self):
        while not self.enough():
            with self.lock:
                words = self.words()
            status, output, errors = self.cluster.kezek("daulet", "submit", "-o", "name", *words,
                                                        timeout=600)
            with self.lock:
                if status == 0:
                    self.acknowledged.append(output.strip())
                elif status == 6:
                    self.unanswered += 1
                else:
                    self.wrong.append(f"status {status}: {errors}")
            if status == 6:
                time.sleep(0.2)


def kill_now_and_then(cluster, submitters, kills, jobs, rng):
    """Kills spread over the whole run: the k-th at a random moment of the k-th part of the jobs."""
    for number in range(kills):
        goal = (number + rng.random()) * jobs / (kills + 1)
        while len(submitters.acknowledged) < goal and not submitters.wrong:
            time.sleep(0.01)
        time.sleep(rng.random() * 0.3)
        cluster.kill_kezekd()
        print(f"kill {number + 1} after {len(submitters.acknowledged)} acknowledged", flush=True)
        cluster.start_kezekd()


def all_jobs(cluster, user):
    _, output, _ = cluster.kezek(user, "queue", "--ended", "--limit", "1000000", "-o", "name")
    names = output.split()
    jobs = []
    for start in range(0, len(names), 200):
        status, output, errors = cluster.kezek(user, "show", "-o", "json",
                                               *names[start:start + 200])
        assert status == 0, f"show: {errors}"
        jobs += json.loads(output)["jobs"]
    return jobs


def slurm_runs(cluster):
    """How often Slurm has started each job's name."""
    runs = collections.Counter()
    rows = cluster.slurm("sacct", "-X", "-a", "-n", "-P", "-D", "-S", "1970-01-02",
                         "-o", "JobName,Start")
    for row in rows.splitlines():
        name, start = row.split("|")
        if start.isdigit() and int(start) > 0 and name.startswith("kezek-"):
            runs[name] += 1
    return runs


def judge(cluster, submitters, folder):
    jobs = all_jobs(cluster, "daulet")
    states = {job["job"]: job["state"] for job in jobs}
    for name in submitters.acknowledged:
        if name not in states:
            yield f"job {name} was acknowledged and is lost"
    for name, state in states.items():
        if state != "JOB_STATE_SUCCEEDED":
            yield f"job {name} is {state}"
    files = os.listdir(folder)
    yield from (f"run twice: {name}" for name in files if name.startswith("twice."))
    ran = {name for name in files if re.fullmatch(r"\d+\.\d+", name)}
    runs = slurm_runs(cluster)
    for job in jobs:
        done = 0
        for attempt in job.get("attempts", []):
            key = f"{job['job']}.{attempt['number']}"
            started = int(attempt.get("start_ms", 0)) > 0
            count = runs.pop(f"kezek-{job['job']}-{attempt['number']}", 0)
            if count != (1 if started else 0):
                yield f"attempt {key}: {count} runs by Slurm, started: {started}"
            if (key in ran) != started:
                yield f"attempt {key}: wrote its file: {key in ran}, started: {started}"
            done += started
        if done != 1:
            yield f"job {job['job']}: {done} runs"
    yield from (f"Slurm has run {name}, which is no attempt" for name in runs)


def workplace(cluster):
    """(script of a job that runs once, folder its runs leave their files in)"""
    home = cluster.home("daulet")
    folder = os.path.join(home, "runs")
    script = os.path.join(home, "once.sh")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o777)
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(folder=folder))
    return script, folder


def problems_of(cluster, submitters, folder, jobs):
    """What is wrong, once all jobs are over."""
    problems = list(submitters.wrong)

    def drained():
        status, output, _ = cluster.kezek("daulet", "queue", "-o", "name")
        return status == 0 and not output.strip()

    try:
        cluster.until("the end of all jobs", drained, 120 + jobs)
    except AssertionError as problem:
        problems.append(str(problem))
    # Slurm's accounting hears of the last runs a few seconds later; then it judges.
    end = time.monotonic() + 30
    while sum(slurm_runs(cluster).values()) < len(os.listdir(folder)) and time.monotonic() < end:
        time.sleep(0.5)
    return problems + list(judge(cluster, submitters, folder))


def run(cluster, kills, jobs, seed):
    """The exit status."""
    rng = random.Random(seed)
    script, folder = workplace(cluster)
    start = time.monotonic()
    submitters = Submitters(cluster, jobs, lambda: [script])
    submitters.start()
    try:
        kill_now_and_then(cluster, submitters, kills, jobs, rng)
    except BaseException:
        submitters.wrong.append("kezekd was not killed and started again as planned")
        raise
    finally:
        submitters.join()
    submitted = time.monotonic() - start
    problems = problems_of(cluster, submitters, folder, jobs)
    print(f"{len(submitters.acknowledged)} acknowledged in {submitted:.0f} s, "
          f"{submitters.unanswered} without an answer, {kills} kills, all over after "
          f"{time.monotonic() - start:.0f} s, {len(os.listdir(folder))} runs, "
          f"{len(problems)} problems")
    for problem in problems[:30]:
        print(f"  {problem}")
    if problems:
        print(f"again: tests/e2e/run kill --kills {kills} --jobs {jobs} --seed {seed}")
        print(cluster.tail_of_log())
        return 1
    print(cluster.demo("check"), end="")
    return 0
