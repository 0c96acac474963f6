"""The database is lost and an older copy of it restored: what an admin does then, and what the
judges must know of the history that is lost."""

import os
import re
import time

import injuries
import work

NAME = re.compile(r"kezek-([\d_]+)-(\d+)")


class Restore:
    """When, and which attempts the copy knew; what else is older belongs to the lost history."""

    def __init__(self, stack):
        rows = stack.sql("select job_id, element, number, state from attempts")
        self.known, self.alive = set(), set()
        for job, element, number, state in rows:
            name = job if int(element) < 0 else f"{job}_{element}"
            self.known.add(f"{name}.{number}")
            if state != "ended":
                self.alive.add(f"kezek-{name}-{number}")
        self.jobs = {job if int(element) < 0 else f"{job}_{element}"
                     for job, element in stack.sql("select id, element from jobs")}
        self.time = time.time()
        self.stopped, self.missed = False, ""

    def lost(self, name, submitted):
        match = NAME.fullmatch(name)
        return bool(match) and submitted < self.time and \
            f"{match[1]}.{match[2]}" not in self.known

    def shown(self, stack):
        """What slurmctld still shows, ended or not, of attempts that the copy lacks, of jobs that
        it has: kezekd must stop for them."""
        for line in stack.told("squeue", "-h", "-a", "-t", "all", "-o", "%j|%k"):
            name, _, comment = line.partition("|")
            match = NAME.fullmatch(name)
            if match and comment.startswith("kezek:") and match[1] in self.jobs and \
                    f"{match[1]}.{match[2]}" not in self.known:
                yield name


def attempt_of(file):
    return ".".join(file.split(".")[:2])


def lost_files(restore, runs):
    return [file for file in os.listdir(runs) if attempt_of(file) not in restore.known]


def end_lost_runs(stack, restore, runs):
    """As docs/operating.md says: what Slurm has beyond the copy is ended, whatever its name is
    by now."""
    ids = set()
    for file in lost_files(restore, runs):
        if file.endswith(".begin"):
            with open(os.path.join(runs, file), encoding="utf-8") as begin:
                ids.update(begin.read().split()[:1])

    def beyond():
        rows = [line.split("|") for line in stack.told("squeue", "-h", "-a", "-o", "%i|%j")]
        return [row[0] for row in rows if row[0] in ids or restore.lost(row[1], 0)]

    for number in beyond():
        stack.command("scancel", number)
    stack.until("the end of what the lost history ran", lambda: not beyond(), 60)


def put_away(stack, restore, runs):
    """Numbers are given again: the files of the lost runs would be taken for those of others."""
    away = stack.path(f"lost-{len(stack.restores)}")
    os.makedirs(away, exist_ok=True)
    for file in lost_files(restore, runs):
        os.rename(os.path.join(runs, file), os.path.join(away, file))


def submit_held(stack):
    """A job that the copy has, and that starts after it was made: its name; "" where kezekd did not
    answer."""
    one = {"user": "daulet", "seconds": 0.2, "code": 0, "width": 1, "elements": 0, "gpus": 1,
           "cancel_after": None, "requeue": True, "nonce": f"held{len(stack.restores)}"}
    words = work.words_of(one, stack.path("drill.sh"))
    status, output, _ = stack.kezek(one["user"], words[0], "--hold", *words[1:])
    name = output.strip() if status == 0 else ""
    if name:
        stack.clients.acknowledged[name] = {**one, "at": time.time()}
    return name


def release(stack, name):
    if not name:
        return
    status, _, errors = stack.kezek("daulet", "release", name)
    if status != 0:
        stack.clients.wrong.append(f"release {name}: status {status}: {errors}")


def accept(stack, restore, before):
    """An admin's word, where kezekd asks for it: it does if Slurm shows what the copy lacks."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        done = stack.as_admin("admin", "resume", "--accept-restore", "--reason", "restored")
        if done.returncode == 0:
            restore.stopped = True
            return
        time.sleep(1)
    still = before & set(restore.shown(stack))
    restore.missed = min(still, default="")


@injuries.fault("postgres-restored", "postgres", "kezekd", "token", "proxy", "nodes",
                *injuries.CONTROL)
def postgres_restored(stack, rng, _):
    """The copy is some seconds old."""
    begun = time.time()
    held = submit_held(stack)
    copy = stack.dump()
    release(stack, held)
    yield rng.uniform(3, 20)
    stack.kill("kezekd")
    yield rng.uniform(1, 5)
    stack.restore(copy)
    restore = Restore(stack)
    stack.restores.append(restore)
    stack.clients.forget({row[0] for row in stack.sql("select distinct id from jobs")}, begun)
    for name in restore.alive:  # what became of it in the lost history may come as a surprise
        stack.touched.setdefault(name, set()).add("restored")
    runs = stack.path("runs")
    end_lost_runs(stack, restore, runs)
    put_away(stack, restore, runs)
    before = set(restore.shown(stack))
    stack.start_leader()
    accept(stack, restore, before)
    release(stack, held)
