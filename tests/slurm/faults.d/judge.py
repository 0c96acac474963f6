"""The judges: what was acknowledged, Kezek's database and ledger, Slurm's accounting, and the
files of the runs themselves. Each yields what is wrong, a line each."""

import os
import re

import injuries
import outages

FINAL = ("succeeded", "failed", "timed_out", "cancelled")
# What a fault of the machine makes of an attempt: it costs nothing, but where nobody saw it fail.
FAULTY = ("node_failed", "launch_failed")
LOST = "LOST_BY_CLUSTER"
# Runs of which Slurm's records may be wrong: a share of all, or so many for each fault of LOSES.
WRONG_SHARE, WRONG_PER_LOSS = 0.03, 4
LOSES = (*outages.LOSES_NEWS, "slurmdbd-away", "node-dies")


def host_list(text):
    """"0-2,5" as numbers."""
    numbers = []
    for part in text.split(",") if text not in ("", "-") else []:
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


class Records:
    """Everything that the judges compare, read once."""

    def __init__(self, stack, clients, runs, done):
        self.stack, self.clients = stack, clients
        self.losses = sum(done[kind] for kind in LOSES)
        self.jobs = self.read_jobs()
        self.attempts = self.read_attempts()
        self.ledger = self.read_ledger()
        self.slurm = self.read_slurm()
        self.files = self.read_files(runs)
        self.begun = dict(self.begins())
        self.runs_by_start = {(row["JobIDRaw"], row["Start"]): row for row in self.slurm}
        self.slurm_wrong = set()

    def read_jobs(self):
        rows = self.stack.sql("select id, element, state, hold, attempts,"
                              " coalesce(pending::text, ''), coalesce(reason->>'code', ''),"
                              " coalesce(hold_reason->>'code', '') from jobs")
        return {self.key(row[0], row[1]): dict(zip(("state", "hold", "attempts", "pending",
                                                    "reason", "hold_reason"), row[2:]))
                for row in rows}

    @staticmethod
    def key(job, element):
        return job if int(element) < 0 else f"{job}_{element}"

    def read_attempts(self):
        fields = ("job_id", "element", "number", "state", "outcome", "cluster_job_id", "start_ms",
                  "end_ms", "counted_milli", "rate_milli", "factor_milli", "limit_ms",
                  "planned_ms", "settled", "ending", "code")
        attempts = {}
        for row in self.stack.sql(f"select {', '.join(fields[:-1])}, coalesce(reason->>'code', '')"
                                  " from attempts order by job_id, element, number"):
            one = dict(zip(fields, row))
            for name in fields[5:13]:
                one[name] = int(one[name])
            attempts[f"{self.key(one['job_id'], one['element'])}.{one['number']}"] = one
        return attempts

    def read_ledger(self):
        rows = self.stack.sql(
            "select job_id, element, attempt,"
            " coalesce(sum(amount) filter (where book = 'charge' and kind = 'settlement'), 0),"
            " count(*) filter (where book = 'charge' and kind = 'settlement'),"
            " coalesce(sum(amount) filter"
            " (where book = 'charge' and kind not in ('hold', 'release')), 0),"
            " coalesce(sum(amount) filter (where book = 'usage'), 0)"
            " from ledger where job_id > 0 group by 1, 2, 3")
        return {f"{self.key(row[0], row[1])}.{row[2]}": tuple(map(int, row[3:])) for row in rows}

    def read_slurm(self):
        """Runs that the accounting knows: dictionaries, ids are given more than once."""
        fields = ("JobIDRaw", "JobName", "User", "State", "Start", "End", "Submit", "NodeList")
        text = self.stack.slurm("sacct", "-X", "-a", "-n", "-P", "-D", "-S", "1970-01-02", "-o",
                                ",".join(fields))
        rows = []
        for line in text.splitlines():
            row = dict(zip(fields, line.split("|")))
            for name in ("JobIDRaw", "Start", "End", "Submit"):
                row[name] = int(row[name]) if row[name].isdigit() else 0
            if row["NodeList"] in ("", "None assigned"):
                row["Start"] = 0  # what was requeued, and ended before it ran again
            if any(restore.lost(row["JobName"], row["Submit"]) for restore in self.stack.restores):
                continue
            rows.append(row)
        return rows

    @staticmethod
    def read_files(runs):
        files = {}
        for name in os.listdir(runs):
            with open(os.path.join(runs, name), encoding="utf-8") as file:
                files[name] = file.read().split()
        return files

    def begins(self):
        """(attempt, the words of its first line)"""
        for name, words in self.files.items():
            match = re.fullmatch(r"([\d_]+\.\d+)\.begin", name)
            if match and len(words) >= 6:
                yield match[1], words


def price(attempt, time_ms):
    return (attempt["counted_milli"] * time_ms * attempt["rate_milli"]
            * attempt["factor_milli"]) // 1_000_000


def lost(records):
    """Every acknowledged job is there, with all elements of its array."""
    for name, asked in records.clients.acknowledged.items():
        if name not in records.jobs:
            yield f"job {name} was acknowledged and is lost"
        for element in range(asked["elements"]):
            if f"{name}_{element}" not in records.jobs and \
                    records.jobs.get(name, {}).get("state") != "cancelled":
                yield f"element {element} of job {name} is lost"


def twice(records):
    """An attempt's script ran once at most, under one id of Slurm's."""
    for name in records.files:
        if ".twice." in name:
            yield f"the script of {name.split('.twice')[0]} ran again: {records.files[name]}"
    begun = {attempt: int(words[0]) for attempt, words in records.begins()}
    for attempt, ids in begun.items():
        known = records.attempts.get(attempt)
        if known is None:
            yield f"{attempt} has run, and no such attempt is recorded"
        elif known["cluster_job_id"] != ids and not past_telling(records, attempt):
            yield (f"{attempt} ran as Slurm's {ids}, recorded is {known['cluster_job_id']}")
    ran = {}
    for row in records.slurm:
        match = re.fullmatch(r"kezek-([\d_]+)-(\d+)", row["JobName"])
        if match and row["Start"] and row["JobName"] != injuries.OTHER_NAME:
            ran.setdefault(f"{match[1]}.{match[2]}", set()).add(row["JobIDRaw"])
    for attempt, ids in ran.items():
        if len(ids) > 1:
            yield f"{attempt}: Slurm started several jobs for it: {sorted(ids)}"


def done_to(records, name):
    """What an admin did to the attempt behind Kezek's back."""
    return records.stack.touched.get(f"kezek-{name.replace('.', '-')}", set())


def done(records, name):
    """Whether the attempt's script came to its end, by its own file."""
    return records.files.get(f"{name}.end", ["", ""])[1:2] == ["done"]


def past_telling(records, name):
    """Submitted in a history that was lost, and renamed there: nobody can tell whose run it was."""
    return done_to(records, name) >= {"renamed", "restored"}


def beside(records):
    """Runs of one job never overlap: the later one looks for the earlier's process, and times
    agree."""
    for name, words in records.files.items():
        if ".beside." in name:
            yield f"{name.split('.beside')[0]} began while attempt {words[0]} was alive"
    ends = {name.removesuffix(".end"): float(words[0]) for name, words in records.files.items()
            if name.endswith(".end") and words}
    for attempt, words in records.begins():
        job, _, number = attempt.rpartition(".")
        for before in range(1, int(number)):
            end = ends.get(f"{job}.{before}")
            if end is not None and end > float(words[5]):
                yield f"{attempt} began {end - float(words[5]):.3f} s before attempt {before} ended"


def row_of(records, attempt):
    """Slurm's record of the attempt's run: by id and start, for its owner may rename it."""
    return records.runs_by_start.get((attempt["cluster_job_id"], attempt["start_ms"] // 1000))


def is_slurms(records, name, attempt, missing):
    """Slurm's record of the run is missing or wrong, as the run's own files show: it lost what it
    had not written when it was killed. Counted, and not Kezek's. Where there is none, slurmctld's
    word was all there is: it counts the time before the script and after it, too, but no more than
    kezekd waits for slurmdbd and half a minute; or than it took it to hear of the end."""
    begin, end = records.begun.get(name), records.files.get(f"{name}.end")
    if not begin or not end:
        return False
    before = float(begin[5]) - attempt["start_ms"] / 1000
    after = attempt["end_ms"] / 1000 - float(end[0])
    most = records.stack.patience_s + 30 if missing else 3
    told = -2 < after < most or outages.heard_late(
        records.stack.faults, float(end[0]), attempt["end_ms"] / 1000)
    if not (-2 < before < most and told):
        return False
    records.slurm_wrong.add(name)
    return True


def mischarged(records):
    """Settled once, at the time that Slurm's accounting has; faults of nodes cost nothing."""
    for name, attempt in records.attempts.items():
        settled, count, charged, usage = records.ledger.get(name, (0, 0, 0, 0))
        if attempt["state"] != "ended" or attempt["settled"] != "t":
            continue  # judged as stuck
        if usage != charged:
            yield f"{name}: {usage} booked as usage, {charged} charged"
        if not attempt["start_ms"]:
            if charged or settled:
                yield f"{name}: {charged} charged, and it never started"
            unseen = attempt["outcome"] in FAULTY or attempt["code"] == LOST
            if name in records.begun and not unseen and not past_telling(records, name):
                yield f"{name}: it has run, and Kezek knows of no start"
            continue
        if count != 1:
            yield f"{name}: settled {count} times"
        if attempt["code"] == LOST:
            yield from mischarged_lost(records, name, attempt, charged)
            continue
        if attempt["outcome"] in FAULTY and charged:
            yield f"{name}: {charged} charged for a fault of the machine"
        row = row_of(records, attempt)
        if row is None:
            to_its_limit = attempt["outcome"] == "timed_out" and runs_on_in_books(
                records, name, attempt)
            never_ran = not charged and name not in records.begun
            if attempt["outcome"] in FAULTY and done(records, name):
                records.slurm_wrong.add(name)  # nobody told that it had come to its end
            if attempt["outcome"] not in FAULTY and not to_its_limit and not never_ran and \
                    not is_slurms(records, name, attempt, missing=True):
                yield (f"{name}: Slurm has no run of {attempt['cluster_job_id']} at "
                       f"{attempt['start_ms'] // 1000}")
            continue
        again = ("requeued",) if "scontrol-requeue" not in done_to(records, name) else ()
        if row["State"] == "COMPLETED" and attempt["outcome"] in (*FAULTY, *again) and \
                done(records, name):
            yield f"{name} is {attempt['outcome']}, and it has completed by Slurm's accounting"
        if not row["End"]:
            if attempt["outcome"] not in FAULTY and not is_slurms(
                    records, name, attempt, missing=False):
                yield f"{name}: {attempt['outcome']}, and runs on in Slurm's accounting"
            continue
        time_ms = (row["End"] - row["Start"]) * 1000
        due = price(attempt, time_ms)
        if settled != due and is_slurms(records, name, attempt, missing=False):
            continue
        if settled != due:
            yield (f"{name} ({attempt['outcome']}): settled {settled}, {due} for the "
                   f"{time_ms // 1000} s of Slurm's {row['State']}; ours "
                   f"{attempt['start_ms']} to {attempt['end_ms']}")
        most = -(-attempt["limit_ms"] // 60_000) * 60_000 + 120_000
        if attempt["outcome"] not in FAULTY and charged != price(attempt, min(time_ms, most)):
            yield f"{name} ({attempt['outcome']}): {charged} charged of {due}"


def mischarged_lost(records, name, attempt, charged):
    """Charged until it was last seen alive, which is no later than its own files have it."""
    due = price(attempt, (attempt["end_ms"] - attempt["start_ms"]) // 1000 * 1000)
    if charged != due:
        yield f"{name}: {charged} charged, {due} until it was last seen"
    end = records.files.get(f"{name}.end")
    if not end or attempt["end_ms"] / 1000 <= float(end[0]) + 2:
        return
    if any(row["JobIDRaw"] == attempt["cluster_job_id"] and row["State"] == "REQUEUED" and
           row["End"] == attempt["end_ms"] // 1000 for row in records.slurm):
        records.slurm_wrong.add(name)  # a slurmctld that took over told when it took it back
        return
    yield f"{name}: charged until {attempt['end_ms']}, it ended at {end[0]}"


def shared_gpus(records):
    """No GPU of a node was two runs' at a time."""
    ends = {name.removesuffix(".end"): float(words[0]) for name, words in records.files.items()
            if name.endswith(".end") and words}
    spans = {}
    for name, words in records.files.items():
        match = re.fullmatch(r"([\d_]+\.\d+)\.(begin|node\.\d+)", name)
        if not match or len(words) < 4:
            continue
        begin = float(words[5] if match[2] == "begin" else words[3])
        attempt = records.attempts.get(match[1], {})
        end = ends.get(match[1]) or attempt.get("end_ms", 0) / 1000
        for gpu in host_list(words[2]):
            spans.setdefault((words[1], gpu), []).append((begin, end, match[1]))
    for (node, gpu), runs in spans.items():
        last = (0.0, 0.0, "")
        for run in sorted(runs):
            if run[2] != last[2] and run[0] < last[1] and not forgotten(records, last):
                yield f"GPU {gpu} of {node} was {last[2]}'s and {run[2]}'s: {last} {run}"
            last = max(last, run, key=lambda one: one[1])


def forgotten(records, run):
    """slurmctld was killed before it had saved that it had started the run, gave the id again, so
    that the node ended nothing, and took its GPUs for free. Counted, and not Kezek's, which has no
    say in which GPUs of a node a run gets."""
    begin, end, name = run
    number = int(records.begun.get(name, ["0"])[0])
    known = any(row["JobIDRaw"] == number and abs(row["Start"] - begin) < 5
                for row in records.slurm)
    killed = any(begin - 1 < at < min(end, begin + outages.UNSAVED_S)
                 for at in records.stack.controller_killed)
    if known or not killed:
        return False
    records.slurm_wrong.add(name)
    return True


def unexplained(records):
    """Each job came to the end that it asked for, or that somebody made it have."""
    asked_of = records.clients.acknowledged
    attempts_of = {}
    for key, one in records.attempts.items():
        attempts_of.setdefault(key.rpartition(".")[0], []).append(one)
    for name, job in records.jobs.items():
        base = name.split("_")[0]
        asked = asked_of.get(base)
        if asked is None or (asked["elements"] and "_" not in name):
            continue  # its answer was lost; or the array itself
        numbers = attempts_of.get(name, [])
        well = [key for key in (f"{name}.{one['number']}" for one in numbers)
                if done(records, key)]
        done_by = set().union(*(done_to(records, f"{name}.{one['number']}") for one in numbers))
        state = job["state"]
        if state == "succeeded" and not well:
            yield f"job {name} has succeeded, and no run of it came to its end"
        if state == "succeeded" and asked["code"] != 0:
            yield f"job {name} has succeeded, and its script fails"
        if state == "cancelled" and base not in records.clients.cancelled and \
                not done_by & {"scancel", "restored"} and not lost_at_a_fault(asked, numbers):
            yield f"job {name} is cancelled by nobody ({job['reason']})"
        if state == "failed" and asked["code"] == 0 and not lost_at_a_fault(asked, numbers):
            yield f"job {name} has failed ({job['reason']}), and its script does not: {numbers}"
        last = max(numbers, key=lambda one: int(one["number"]), default=None)
        if state == "timed_out" and not (last and runs_on_in_books(
                records, f"{name}.{last['number']}", last)):
            yield f"job {name} has timed out"
        if sum(records.attempts[key]["outcome"] == "succeeded" for key in well) > 1:
            yield f"job {name} came to its end in several runs: {well}"


def runs_on_in_books(records, name, attempt):
    """A slurmctld that was killed has it running to its limit, though no node has heard of it, or
    it had ended, by its files, or died with its node, which was back before slurmctld missed it.
    Counted, and not Kezek's."""
    row = row_of(records, attempt)
    # Where slurmdbd was never told of it slurmctld's word was all there is.
    start, over = (row["Start"], row["End"]) if row else (
        attempt["start_ms"] // 1000, attempt["end_ms"] // 1000)
    limit_s = attempt["limit_ms"] // 1000
    if "limit-changed" in done_to(records, name):
        limit_s = min(limit_s, 60)  # Slurm's, and Kezek had not put it right yet
    if over - start < limit_s - 2:
        return False
    begin, end = records.begun.get(name), records.files.get(f"{name}.end")
    ended = [float(end[0])] if end else []
    if begin and not end:
        ended = [at for node, at in records.stack.died
                 if node == begin[1] and at > float(begin[5])]
    if begin and not any(at < over - 3 for at in ended):
        return False
    records.slurm_wrong.add(name)
    return True


def lost_at_a_fault(asked, attempts):
    """A job that is not to be requeued ends with the machine's first fault."""
    return not asked["requeue"] and any(one["outcome"] in ("node_failed", "requeued")
                                        for one in attempts)


def stuck(records):
    """What is not over, or not settled; and what Slurm still has of Kezek's."""
    for name, job in records.jobs.items():
        if job["state"] not in FINAL:
            yield (f"job {name} is {job['state']}, hold {job['hold']}, {job['reason']} "
                   f"{job['hold_reason']}")
    for name, attempt in records.attempts.items():
        if attempt["state"] != "ended" or attempt["settled"] != "t":
            yield f"{name} is {attempt['state']}, settled: {attempt['settled']}"
    for number, state, name in records.stack.slurm_jobs():
        yield f"Slurm still has {number} ({name}), {state}"


def taken_for_another(records):
    """All files of a run bear its nonce, and that of the client to whom its job was acknowledged:
    no run has written into another's, and no job has run another's script."""
    drawn = {}
    for name, words in records.begins():
        nonce, asked = words[6:8] if len(words) == 8 else ("", "")
        if not nonce or drawn.setdefault(nonce, name) != name:
            yield f"{name} has the nonce of {drawn.get(nonce)}: {words}"
        client = records.clients.acknowledged.get(name.partition(".")[0].split("_")[0])
        if client and client["nonce"] != asked:
            yield f"{name} ran what was asked with {asked}, its job was with {client['nonce']}"
    for file, words in records.files.items():
        match = re.fullmatch(r"([\d_]+\.\d+)\.(end|node\.\d+)", file)
        if match and words and records.begun.get(match[1], [""] * 8)[6] != words[-1]:
            yield f"{file} was not written by the run that wrote {match[1]}.begin: {words}"


def restored_unnoticed(records):
    """kezekd stops where Slurm shows an attempt that the restored copy lacks."""
    for restore in records.stack.restores:
        if restore.missed:
            yield f"kezekd went on with a restored copy that lacks {restore.missed}"


def slurm_blamed(records):
    """Whom the others have excused: few, but for those of whom slurmdbd could not hear. The last of
    the judges."""
    spans = list(outages.news_lost(records.stack.faults))
    told = [name for name in sorted(records.slurm_wrong)
            if not any(since < records.attempts.get(name, {}).get("end_ms", 0) / 1000 < until
                       for since, until in spans)]
    most = max(len(records.attempts) * WRONG_SHARE, WRONG_PER_LOSS * records.losses)
    if len(told) > most:
        yield (f"{len(told)} of {len(records.attempts)} runs are put down to wrong records of "
               f"Slurm's, at most {most:.0f} may: {told}")


JUDGES = (lost, twice, beside, mischarged, shared_gpus, unexplained, stuck, taken_for_another,
          restored_unnoticed, slurm_blamed)
