"""Goal: an institution inside its guarantee gets its GPUs back from one that borrows them, whatever
happens to kezekd meanwhile: the borrower's job is told, has its time, is requeued with its place
and given back what it lost; the other starts on its nodes; both can read why.

Method: the demo's machine full of one project's jobs, which write down the signals they get; then a
job of another institution. kezekd is killed with SIGKILL as soon as the database says that somebody
is to go, and again while that job has its time. The judges are the jobs' own notes, the database,
and Slurm's accounting (`deploy/demo check`)."""

import os
import time

NODES = 4
GRACE_S = 20
MIN_RUN_S = 5
CONF = f"""
classes: {{normal: {{min_run: {MIN_RUN_S}s, grace_max: 1m}}}}
"""
BORROWER = """#!/bin/bash
#SBATCH --job-name=borrower --nodes=1 --gpus-per-node=8 --time=30 --output=/dev/null
#KEZEK --grace {grace}s
note() {{ echo "$1 $(date +%s%3N)" >>"{folder}/$KEZEK_JOB_ID.$KEZEK_ATTEMPT"; }}
trap 'note told' TERM
note began
while :; do sleep 0.2; done
"""
CLAIMER = """#!/bin/bash
#SBATCH --job-name=claimer --nodes=1 --gpus-per-node=8 --time=5 --output=/dev/null
sleep 15
"""


def notes_of(folder, job, attempt):
    """What the attempt has written: (word, UTC milliseconds)."""
    path = os.path.join(folder, f"{job}.{attempt}")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [(word, int(at)) for word, at in (line.split() for line in file)]


def fill(cluster):
    """All nodes run the borrower's jobs, each with a checkpoint; (folder of notes, names)."""
    home = cluster.home("daulet")
    folder = os.path.join(home, "promises")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o777)
    script = BORROWER.format(grace=GRACE_S, folder=folder)
    names = [cluster.submit("daulet", "-", script=script) for _ in range(NODES)]
    cluster.until("the borrower on every node",
                  lambda: all(notes_of(folder, name, 1) for name in names), 120)
    cluster.until("Kezek sees them run",
                  lambda: all(cluster.state("daulet", name) == "running" for name in names), 30)
    for name in names:
        status, _, errors = cluster.kezek("daulet", "checkpoint", name)
        assert status == 0, f"checkpoint {name}: {errors}"
    time.sleep(MIN_RUN_S + 1)
    return folder, names


def victim_of(cluster, claimer):
    rows = cluster.sql("select job_id, ends_by_ms, nodes from attempts"
                       f" where preempted_for_job = {claimer} and state <> 'ended'")
    return rows[0] if rows else None


def check_told(cluster, folder, victim):
    cluster.until("the signal", lambda: any(word == "told" for word, _ in
                                            notes_of(folder, victim, 1)), GRACE_S)
    _, shown, _ = cluster.kezek("daulet", "show", victim)
    assert "Preempted for another institution" in shown and "TERM" in shown, shown
    for word in ("alem-llm", "aizhan", "claimer"):
        assert word not in shown, f"{word} is another institution's: {shown}"
    assert cluster.state("daulet", victim) == "running", "it has its time"


def check_over(cluster, victim, claimer, nodes):
    cluster.until("the claimer's start", lambda: cluster.state("aizhan", claimer) == "running", 120)
    assert cluster.sql(f"select nodes from attempts where job_id = {claimer}") == [[nodes]], \
        "the claimer runs on its victim's nodes"
    attempt = cluster.sql("select outcome, end_ms - start_ms > 0 from attempts"
                          f" where job_id = {victim} and number = 1")
    assert attempt == [["preempted", "t"]], attempt
    job = cluster.sql("select state in ('queued', 'starting'), preemptions, failed_runs from jobs"
                      f" where id = {victim}")
    assert job == [["t", "1", "0"]], job
    refunds = cluster.sql("select count(*), bool_and(amount < 0) from ledger"
                          f" where job_id = {victim} and book = 'charge' and kind = 'refund'")
    assert refunds == [["1", "t"]], refunds
    settled = cluster.sql("select count(*) from ledger"
                          f" where job_id = {victim} and book = 'charge' and kind = 'settlement'")
    assert settled == [["1"]], settled
    _, shown, _ = cluster.kezek("aizhan", "show", claimer)
    assert "as promised for" in shown, shown
    assert not cluster.sql(f"select 1 from reservations where job_id = {claimer}")


def run(cluster):
    """The exit status."""
    cluster.configure(CONF)
    folder, names = fill(cluster)
    claimer = cluster.submit("aizhan", "-", script=CLAIMER)
    began = time.monotonic()
    cluster.until("a victim in the database", lambda: victim_of(cluster, claimer), 30)
    cluster.kill_kezekd()
    victim, _, nodes = victim_of(cluster, claimer)
    promised = cluster.sql(f"select placement from reservations where job_id = {claimer}")
    assert len(promised) == 1, promised
    print(f"job {victim} is to go for {claimer}; killed after "
          f"{time.monotonic() - began:.1f} s", flush=True)
    cluster.kezekd("start")
    check_told(cluster, folder, victim)
    cluster.until("the claimer's reason, once the cluster is read again",
                  lambda: "being taken back" in cluster.kezek("aizhan", "why", claimer)[1], 30)
    cluster.kill_kezekd()
    cluster.kezekd("start")
    check_over(cluster, victim, claimer, nodes)
    took = time.monotonic() - began
    notes = notes_of(folder, victim, 1)
    told = [at for word, at in notes if word == "told"]
    decided = cluster.sql("select ending_since_ms from attempts"
                          f" where job_id = {victim} and number = 1")[0][0]
    assert told[0] >= int(decided), "nobody is told before the commit"
    # Once by Kezek, again after each kill if that was not confirmed; and by Slurm at the end.
    assert len(told) <= 4, f"told {len(told)} times: {notes}"
    others = cluster.sql("select count(*) from attempts where outcome = 'preempted'")
    assert others == [["1"]], "one was enough"
    cluster.until("the victim's second attempt", lambda: notes_of(folder, victim, 2), 120)
    print(f"the claimer runs {took:.0f} s after its submission, grace of {GRACE_S} s included; the "
          f"victim was told {len(told)} times and runs again")
    for name in names:
        cluster.kezek("daulet", "cancel", name)
    cluster.until("the end of all jobs",
                  lambda: not cluster.kezek("daulet", "queue", "-o", "name")[1].strip(), 120)
    print(cluster.demo("check"), end="")
    return 0
