"""Comparisons of Kezek's records with Slurm's, and with each other, for every attempt there is:

1. the nodes that sacct names are those of Kezek's placement, and every job in Slurm that is named
   like an attempt is one, under the right Unix user;
2. no GPU of a node was given twice at any moment, by the indices Slurm told on the node before and
   after each job (a job that Slurm ran no epilog for holds its GPUs until the end that sacct has),
   and each attempt had as many as were placed;
3. the ledger's rows in the database settle every attempt that has ended once, at counted GPUs
   times the time that `sacct -X` reports, at the frozen rate and factor, less what lies beyond the
   limit and two minutes more, which is the operator's account `overrun`, less all of it for an
   attempt that a fault of a node ended, and less what was given back, an hour at most, of one that
   was preempted;
4. the charge that is shown is what these rows come to, and the usage that was booked is the same,
   but for classes that book none.
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


def host(node):
    """Slurm's name: a host with GPUs of several types is several nodes to Kezek."""
    return node["node"].partition("/")[0]


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
        placed = sorted(host(node) for node in attempt["placement"].get("nodes", []))
        if sorted(host_list(row["NodeList"])) != placed:
            yield f"{name}: on {row['NodeList']} by sacct, on {','.join(placed)} by Kezek"
    for job_id, row in slurm.items():
        if row["JobName"].startswith("kezek-") and job_id not in known and seconds(row["Start"]):
            yield f"Slurm job {job_id} ({row['JobName']}) has run, and no attempt is recorded"


def gpu_log(folder):
    """(time, prolog or epilog, Slurm's job id, node, indices) as the nodes told, by time."""
    with open(os.path.join(folder, "gpus/log"), encoding="utf-8") as file:
        return sorted((line.split() for line in file), key=lambda entry: float(entry[0]))


def check_gpus(attempts, slurm, folder):
    entries = gpu_log(folder)
    with_epilog = {(job_id, node) for _, when, job_id, node, _ in entries if when == "epilog"}

    def has_left(job_id, node, at):
        end = seconds(slurm[int(job_id)]["End"]) if int(job_id) in slurm else 0
        return (job_id, node) not in with_epilog and 0 < end <= at

    owner, told = {}, {}
    for at, when, job_id, node, indices in entries:
        if when == "epilog":  # whatever indices it tells: the job has none there any more
            owner = {gpu: job for gpu, job in owner.items() if (gpu[0], job) != (node, job_id)}
            continue
        for index in [] if indices == "-" else host_list(f"x[{indices}]"):
            gpu = (node, index)
            held_by = owner.get(gpu, job_id)
            if held_by != job_id and not has_left(held_by, node, float(at)):
                told_of = [" ".join(entry) for entry in entries
                           if entry[3] == node and entry[2] in (held_by, job_id)]
                yield (f"GPU {index[1:]} of {node}: given to Slurm jobs {held_by} and {job_id}: "
                       f"{'; '.join(told_of)}; by sacct {slurm.get(int(held_by))}")
            owner[gpu] = job_id
            told.setdefault((int(job_id), node), set()).add(index)
    for name, _, attempt in attempts:
        if not number(attempt, "start_ms"):
            continue
        for node in attempt["placement"].get("nodes", []):
            got = len(told.get((number(attempt, "slurm_job_id"), host(node)), ()))
            if got != number(node, "gpus"):
                yield (f"{name}: {got} GPUs on {node['node']} by Slurm, "
                       f"{number(node, 'gpus')} placed")


def ledger_of(demo):
    """(settled and its count, all charges, usage) by name in Slurm, from the database itself."""
    text = demo.run("psql", "-d", "kezek", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", LEDGER)
    rows = {}
    for row in text.splitlines():
        job, element, attempt, *sums = map(int, row.split("|"))
        name = f"{job}" if element < 0 else f"{job}_{element}"
        rows[f"kezek-{name}-{attempt}"] = sums
    return rows


LEDGER = """select job_id, element, attempt,
  coalesce(sum(amount) filter (where book = 'charge' and kind = 'settlement'), 0),
  count(*) filter (where book = 'charge' and kind = 'settlement'),
  coalesce(sum(amount) filter (where book = 'charge' and kind not in ('hold', 'release')), 0),
  coalesce(sum(amount) filter (where book = 'usage'), 0)
  from kezek.ledger group by 1, 2, 3"""

NO_USAGE = {"scavenger"}  # classes whose usage is not booked


def price(attempt, time_ms):
    return (number(attempt, "counted_milli_gpus") * time_ms * number(attempt, "rate_milli")
            * number(attempt, "factor_milli")) // 1_000_000


def check_ledger(attempts, slurm, ledger):
    for name, job, attempt in attempts:
        row = slurm.get(number(attempt, "slurm_job_id"))
        if row is None or "ENDED" not in attempt["state"]:
            continue
        start, end = seconds(row["Start"]), seconds(row["End"])
        time_ms = (end - start) * 1000 if start and end and number(attempt, "start_ms") else 0
        held_ms = -(-number(attempt, "time_limit_ms") // 60_000) * 60_000 + 120_000
        settled, settlements, charged, usage = ledger.get(name, (0, 0, 0, 0))
        if settlements != 1 and (settlements or number(attempt, "start_ms")):
            yield f"{name}: settled {settlements} times"
        if settled != price(attempt, time_ms):
            yield (f"{name}: settled {settled} milli-GPU-ms, {price(attempt, time_ms)} for the "
                   f"{time_ms // 1000} s of sacct")
        refunded = attempt.get("outcome") == "ATTEMPT_OUTCOME_NODE_FAILED"
        due = 0 if refunded else price(attempt, min(time_ms, held_ms))
        if attempt.get("outcome") == "ATTEMPT_OUTCOME_PREEMPTED":
            back = number(attempt, "refunded_milli_gpu_ms")
            if not 0 <= back <= min(due, price(attempt, 3_600_000)):
                yield f"{name}: {back} given back of {due}"
            due -= back
        if charged != due:
            yield f"{name}: {charged} charged in all, {due} for what was held"
        if usage != (0 if job.get("job_class") in NO_USAGE else charged):
            yield f"{name}: {usage} booked as usage, {charged} charged"


def check_shown(attempts, ledger):
    for name, _, attempt in attempts:
        shown, charged = number(attempt, "charge_milli_gpu_ms"), ledger.get(name, (0, 0, 0, 0))[2]
        if "ENDED" in attempt["state"] and shown != charged:
            yield f"{name}: {shown} milli-GPU-ms shown, {charged} on the ledger"


def check_strangers(attempts, ledger):
    known = {name for name, _, _ in attempts}
    for name, (_, _, charged, _) in ledger.items():
        if charged and name not in known:
            yield f"{name}: {charged} charged, and no such attempt has a Slurm job"


def check(demo):
    before = ledger_of(demo)
    jobs = demo.full_jobs()
    attempts = list(attempts_of(jobs))
    slurm, ledger = slurm_jobs(demo), ledger_of(demo)
    for _ in range(15):  # Slurm's accounting hears of what has just ended a few seconds later
        if all(number(a, "slurm_job_id") in slurm for _, _, a in attempts):
            if not list(check_ledger(attempts, slurm, ledger)):
                break
        time.sleep(1)
        slurm, ledger = slurm_jobs(demo), ledger_of(demo)
    users = {user["name"]: user.get("unix_account", "")
             for user in demo.kezek("admin", "user", "list", "--disabled").get("users", [])}
    bad = 0
    for what, problems in (
            ("nodes as placed, users as known", check_nodes(attempts, slurm, users)),
            ("no GPU given twice, as many as placed", check_gpus(attempts, slurm, demo.folder)),
            ("the ledger's charges equal the time of sacct",
             check_ledger(attempts, slurm, ledger)),
            ("nothing else is charged", check_strangers(attempts, before)),
            ("charges shown equal the ledger's", check_shown(attempts, ledger))):
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
