"""Three comparisons of Kezek's records with Slurm's, for every attempt there is:

1. the nodes that sacct names are those of Kezek's placement, and every job in Slurm that is named
   like an attempt is one, under the right Unix user;
2. no GPU of a node was given twice at any moment, by the indices Slurm told on the node before and
   after each job, and each attempt had as many as were placed;
3. every charge is counted GPUs times the time that `sacct -X` reports, at the frozen rate and
   factor.
"""

import os
import re
import time


def number(message, field):
    return int(message.get(field, 0))


def host_list(text):
    """n[01-03,07],m1 as a list of names."""
    names = []
    for prefix, inside in re.findall(r"([^,\[\]]+)(?:\[([^\]]*)\])?", text):
        for part in inside.split(",") if inside else [""]:
            first, _, last = part.partition("-")
            if not last:
                names.append(prefix + part)
                continue
            names += [f"{prefix}{i:0{len(first)}d}" for i in range(int(first), int(last) + 1)]
    return names


def slurm_jobs(demo):
    """Slurm's accounting by job id, allocations only, times as seconds."""
    fields = ("JobIDRaw", "JobName", "User", "State", "Start", "End", "NodeList")
    env = dict(demo.env, SLURM_TIME_FORMAT="%s")
    text = demo.run("sacct", "-X", "-a", "-n", "-P", "-S", "1970-01-02", "-D",
                    "-o", ",".join(fields), env=env)
    rows = {}
    for row in text.splitlines():
        job = dict(zip(fields, row.split("|")))
        rows[int(job["JobIDRaw"])] = job
    return rows


def attempts_of(jobs):
    """(name in Slurm, job, attempt) of everything that has a Slurm job."""
    for job in jobs:
        for attempt in job.get("attempts", []):
            if number(attempt, "slurm_job_id"):
                yield f"kezek-{job['job']}-{attempt['number']}", job, attempt


def seconds(text):
    return int(text) if text.isdigit() else 0


def check_nodes(attempts, slurm, users):
    known = set()
    for name, job, attempt in attempts:
        row = slurm.get(number(attempt, "slurm_job_id"))
        known.add(number(attempt, "slurm_job_id"))
        if row is None:
            yield f"{name}: sacct does not know Slurm job {attempt['slurm_job_id']}"
            continue
        if row["JobName"] != name:
            yield f"{name}: Slurm job {attempt['slurm_job_id']} is {row['JobName']}"
        if row["User"] != users.get(job["user"]):
            yield f"{name}: ran as {row['User']}, not {users.get(job['user'])}"
        if not seconds(row["Start"]):
            continue
        placed = sorted(node["node"] for node in attempt["placement"].get("nodes", []))
        if sorted(host_list(row["NodeList"])) != placed:
            yield f"{name}: on {row['NodeList']} by sacct, on {','.join(placed)} by Kezek"
    for job_id, row in slurm.items():
        if row["JobName"].startswith("kezek-") and job_id not in known and seconds(row["Start"]):
            yield f"Slurm job {job_id} ({row['JobName']}) has run, and no attempt is recorded"


def check_gpus(attempts, folder):
    owner, told = {}, {}
    with open(os.path.join(folder, "gpus/log"), encoding="utf-8") as file:
        entries = sorted((line.split() for line in file), key=lambda e: float(e[0]))
    for _, when, job_id, node, indices in entries:
        for index in [] if indices == "-" else host_list(f"x[{indices}]"):
            gpu = (node, index)
            if when == "epilog":
                owner.pop(gpu, None)
                continue
            if owner.get(gpu, job_id) != job_id:
                yield f"GPU {index[1:]} of {node}: given to Slurm jobs {owner[gpu]} and {job_id}"
            owner[gpu] = job_id
            told.setdefault((int(job_id), node), set()).add(index)
    for name, _, attempt in attempts:
        if not number(attempt, "start_ms"):
            continue
        for node in attempt["placement"].get("nodes", []):
            got = len(told.get((number(attempt, "slurm_job_id"), node["node"]), ()))
            if got != number(node, "gpus"):
                yield (f"{name}: {got} GPUs on {node['node']} by Slurm, "
                       f"{number(node, 'gpus')} placed")


def check_charges(attempts, slurm):
    for name, _, attempt in attempts:
        row = slurm.get(number(attempt, "slurm_job_id"))
        if row is None or "ENDED" not in attempt["state"]:
            continue
        start, end = seconds(row["Start"]), seconds(row["End"])
        time_ms = (end - start) * 1000 if start and end and number(attempt, "start_ms") else 0
        right = (number(attempt, "counted_milli_gpus") * time_ms * number(attempt, "rate_milli")
                 * number(attempt, "factor_milli")) // 1_000_000
        if number(attempt, "charge_milli_gpu_ms") != right:
            yield (f"{name}: charged {number(attempt, 'charge_milli_gpu_ms')} milli-GPU-ms, "
                   f"{right} for the {time_ms // 1000} s of sacct")


def check(demo):
    jobs = demo.full_jobs()
    attempts = list(attempts_of(jobs))
    slurm = slurm_jobs(demo)
    for _ in range(15):  # Slurm's accounting hears of what has just ended a few seconds later
        if all(number(a, "slurm_job_id") in slurm for _, _, a in attempts):
            if not list(check_charges(attempts, slurm)):
                break
        time.sleep(1)
        slurm = slurm_jobs(demo)
    users = {user["name"]: user.get("unix_account", "")
             for user in demo.kezek("admin", "user", "list", "--disabled").get("users", [])}
    bad = 0
    for what, problems in (
            ("nodes as placed, users as known", check_nodes(attempts, slurm, users)),
            ("no GPU given twice, as many as placed", check_gpus(attempts, demo.folder)),
            ("charges equal the time of sacct", check_charges(attempts, slurm))):
        problems = list(problems)
        bad += len(problems)
        print(f"  {'ok   ' if not problems else 'WRONG'} {what}: {len(attempts)} attempts of "
              f"{len(jobs)} jobs" + (f", {len(problems)} differ" if problems else ""))
        for problem in problems[:20]:
            print(f"        {problem}")
    if not attempts:
        print("  nothing has run yet: nothing is shown by this")
        return 1
    return 1 if bad else 0
