"""What tests/bench/run day does besides its servers.

    day_drive.py run FOLDER --jobs FILE.csv --client start_client --parent ACCOUNT --most SECONDS
    day_drive.py judge FOLDER <the jobs of run     what is wrong, a line each
    day_drive.py ticks <metrics                    the controller's ticks so far

run submits each job at its moment, waits until all are over, and prints a JSON line for each, from
what its script left in FOLDER; KEZEK_TOKEN is whose they are. The judges are those of
tests/slurm/faults, and besides what Slurm's accounting has given of each node at any moment."""

import argparse
import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
FAULTS = os.path.join(os.path.dirname(HERE), "slurm", "faults.d")
sys.path.append(FAULTS)

import cross_jobs  # noqa: E402
import judge  # noqa: E402
import work  # noqa: E402
from following_drive import Heartbeat  # noqa: E402

TICKS = re.compile(r'kezek_(tick_seconds|tick_phase_seconds|commit_seconds)_(bucket|sum|count)'
                   r'(?:\{(.*)\})? (\S+)')
BUSY = re.compile(r'kezek_worker_busy_seconds_total\{worker="(\w+)"\} (\S+)')
NOT_OVER = "state in ('queued', 'starting', 'running')"


def sql(statement):
    env = dict(os.environ, PGDATABASE="kezek", PGOPTIONS="-c search_path=kezek")
    done = subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-c", statement], env=env,
                          check=True, text=True, stdout=subprocess.PIPE)
    return [line.split("|") for line in done.stdout.splitlines()]


class Stack:
    """What the judges ask of theirs; nobody has touched anything here."""

    restores, touched, died = (), {}, ()
    sql = staticmethod(sql)

    @staticmethod
    def slurm(*words):
        env = dict(os.environ, SLURM_TIME_FORMAT="%s")
        return subprocess.run(words, env=env, check=True, text=True, timeout=300,
                              stdout=subprocess.PIPE).stdout

    def slurm_jobs(self):
        return [line.split("|") for line in self.slurm(
            "squeue", "-h", "-a", "-o", "%i|%T|%j").splitlines()]


class Clients:
    cancelled = ()

    def __init__(self, jobs):
        self.acknowledged = {str(job["job"]): {"elements": 0, "code": 0, "requeue": False}
                             for job in jobs}


def submit(jobs, script, options):
    """Their numbers in Kezek, and how far behind its moment each was acknowledged."""
    client = [options.client, "--endpoint", os.environ["KEZEK_ENDPOINT"], "--token",
              os.environ["KEZEK_TOKEN"], "--project", "none"]
    begin = time.time()
    with subprocess.Popen(client, text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        for count, job in enumerate(jobs):
            time.sleep(max(0.0, begin + job["submit_s"] - time.time()))
            process.stdin.write(" ".join(map(str, (
                script, job["nodes"], job["gpus"] // job["nodes"], job["limit_s"] // 60,
                f"{options.parent}/{job['group']}", job["run_s"], 0,
                job["nodes"]))) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline().split()
            if len(answer) != 2:
                sys.exit(f"day: job {count} was refused")
            job["job"], job["said_s"] = int(answer[1]), round(time.time() - begin, 3)
            if count % 500 == 499:
                print(f"day: {count + 1} of {len(jobs)} jobs submitted", file=sys.stderr)
    return begin


def words_of(runs, name):
    try:
        with open(os.path.join(runs, name), encoding="utf-8") as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def run(options):
    with open(options.jobs, encoding="utf-8") as file:
        rows = [dict(zip(cross_jobs.COLUMNS, line.rstrip("\n").split(","))) for line in file][1:]
    jobs = [{"what": "job", "submit_s": float(row["submit_s"]), "run_s": int(row["duration_s"]),
             "gpus": int(row["gpus"]), "nodes": int(row["nodes"]), "group": row["vc"],
             "limit_s": int(row["req_walltime_s"])} for row in rows]
    script, runs = work.workplace(options.folder)
    heart = Heartbeat()
    heart.start()
    begin = submit(jobs, script, options)
    while True:
        left = int(sql(f"select count(*) from jobs where {NOT_OVER}")[0][0])
        if left == 0:
            break
        if time.time() > begin + options.most:
            sys.exit(f"day: {left} of {len(jobs)} jobs have not ended in {options.most:g} s")
        time.sleep(2)
    for job in jobs:
        # Of its last run: the end of a run that a fault cut short says so.
        for attempt in range(9, 0, -1):
            first = words_of(runs, f"{job['job']}.{attempt}.begin")
            last = words_of(runs, f"{job['job']}.{attempt}.end")
            if len(first) > 5 and last:
                job.update(attempt=attempt, first_s=float(first[5]), last_s=float(last[0]))
                break
        job.update(begin_s=round(begin, 3), stood_still_s=round(heart.worst, 2))
        print(json.dumps(job))


def hosts_of(text):
    """"n[0001-0003,0007],n0009" as names."""
    for prefix, ranges, single in re.findall(r"([a-z]+)\[([^]]+)\]|([^,\[\]]+)", text):
        if single:
            yield single
            continue
        for part in ranges.split(","):
            first, _, last = part.partition("-")
            for number in range(int(first), int(last or first) + 1):
                yield f"{prefix}{number:0{len(first)}d}"


def overbooked(stack, gpus):
    """By Slurm's accounting no node had more GPUs given than it has, at any second."""
    changes = {}
    for line in stack.slurm("sacct", "-X", "-a", "-n", "-P", "-D", "-S", "1970-01-02", "-o",
                            "Start,End,NNodes,NodeList,AllocTRES").splitlines():
        start, end, nodes, hosts, tres = line.split("|")
        given = re.search(r"gres/gpu=(\d+)", tres)
        if not (start.isdigit() and end.isdigit() and given) or start == end:
            continue
        each = int(given[1]) // int(nodes)
        for host in hosts_of(hosts):
            # An end before a start of the same second.
            changes.setdefault(host, []).extend(((int(start), each), (int(end), -each)))
    for host, list_of in changes.items():
        used = 0
        for at, change in sorted(list_of):
            used += change
            if used > gpus:
                yield f"{host}: {used} GPUs given at {at}"
    if not changes:
        yield "Slurm's accounting has no run"


def unseen(records, jobs):
    """Each run has said which GPUs it had: on its first node, a gang on each."""
    for job in jobs:
        for number in range(job["nodes"] if job["nodes"] > 1 else 0):
            words = records.files.get(f"{job['job']}.{job.get('attempt', 1)}.node.{number}", [])
            if len(words) < 4:
                yield f"job {job['job']}: nothing of its task {number}"
            elif len(judge.host_list(words[2])) != job["gpus"] // job["nodes"]:
                yield f"job {job['job']}: {words[2]} on {words[1]}"
        begin = records.files.get(f"{job['job']}.{job.get('attempt', 1)}.begin", [])
        if len(begin) < 6 or len(judge.host_list(begin[2])) != job["gpus"] // job["nodes"]:
            yield f"job {job['job']} began with {begin}"


def judged(options):
    jobs = [json.loads(line) for line in sys.stdin]
    stack = Stack()
    # The accounting hears of the last ends late.
    end = time.monotonic() + 120
    while True:
        records = judge.Records(stack, Clients(jobs), os.path.join(options.folder, "runs"))
        said = {one.__name__: list(one(records)) for one in judge.JUDGES}
        said["overbooked"] = list(overbooked(stack, options.gpus))
        said["unseen"] = list(unseen(records, jobs))
        states = sorted({one["state"] for one in records.jobs.values()} - {"succeeded"})
        said["not_succeeded"] = [f"some jobs are {state}" for state in states]
        if not any(said.values()) or time.monotonic() > end:
            break
        time.sleep(5)
    for name, problems in said.items():
        for problem in problems[:20]:
            print(f"day: {name}: {problem}", file=sys.stderr)
    print(json.dumps({"what": "judges", "problems": {name: len(problems)
                                                     for name, problems in said.items()},
                      "jobs": len(records.jobs), "attempts": len(records.attempts),
                      "files": len(records.files), "slurm_runs": len(records.slurm),
                      "slurm_records_wrong": len(records.slurm_wrong)}))


def ticks():
    row = {"what": "ticks", "buckets": {}, "phases": {}, "sums": {}, "busy": {}}
    for line in sys.stdin:
        found = BUSY.match(line)
        if found:
            row["busy"][found[1]] = float(found[2])
        found = TICKS.match(line)
        if not found:
            continue
        name, kind, labels, value = found[1], found[2], found[3] or "", float(found[4])
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if name == "tick_phase_seconds":
            if kind == "sum":
                row["phases"][label["phase"]] = value
        elif kind == "bucket":
            row["buckets"].setdefault(name, {})[label["le"]] = value
        else:
            row["sums"][f"{name}_{kind}"] = value
    if not row["buckets"]:
        sys.exit("day: kezekd's metrics have no ticks")
    print(json.dumps(row))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "judge", "ticks"))
    parser.add_argument("folder", nargs="?")
    for name in ("jobs", "client", "parent"):
        parser.add_argument("--" + name)
    parser.add_argument("--most", type=float, default=1800)
    parser.add_argument("--gpus", type=int, default=8)
    options = parser.parse_args()
    if options.verb == "ticks":
        return ticks()
    return {"run": run, "judge": judged}[options.verb](options)


if __name__ == "__main__":
    sys.exit(main())
