"""Goal: jobs that users hand to Slurm itself are charged to the configured account, each once,
for the time and the GPUs that Slurm's accounting has; those of Kezek are not, whatever they
are called in Slurm; kills of kezekd in between change nothing.

Method: the demo's nodes. The account is named before it exists: the doctor says so, and what
it says mends it. Then two jobs by sbatch, one named like an attempt, beside one of Kezek's
that its owner renames in Slurm. The judges are sacct, the ledger in SQL, and `kezek report`."""

import json
import subprocess
import time

import harness

ACCOUNT = "outside"
JOB = """#!/bin/bash
#SBATCH --job-name=own --gpus=1 --time=2 --output=/dev/null
sleep 20
"""


def configure(cluster):
    path = f"{cluster.folder}/kezek/kezekd.yaml"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    keys = f"slurm:\n  foreign_account: {ACCOUNT}\n  foreign_every: 1s\n"
    assert text.count("\nslurm:\n") == 1, text
    cluster.stop_kezekd()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("slurm:\n", keys, 1))
    cluster.kezekd("start")


def problems(cluster):
    done = cluster.as_admin("admin", "doctor", "-o", "json", "foreign-account")
    assert done.returncode in (0, 1), done.stderr
    lines = json.loads(done.stdout[:done.stdout.rindex("}") + 1])["lines"]
    return [line["found"]["sentence"] for line in lines if line["result"] == "CHECK_RESULT_FIX"]


def names_the_account_that_is_missing(cluster):
    configure(cluster)
    found = cluster.until("the doctor's word", lambda: problems(cluster), 30)
    assert any(f"'{ACCOUNT}' is no account" in text for text in found), found
    cluster.until("the log's", lambda: "foreign jobs are not charged" in log(cluster), 30)
    print(f"foreign: {found[0]}")
    print(cluster.admin("admin", "account", "create", ACCOUNT, "--kind", "project",
                        "--reason", "for what is not Kezek's"), end="")
    cluster.until("the doctor's silence", lambda: not problems(cluster), 30)
    cluster.until("the first reading",
                  lambda: cluster.sql("select 1 from leader where foreign_since_ms > 0"), 30)


def log(cluster):
    with open(f"{cluster.folder}/log/kezekd.log", encoding="utf-8", errors="replace") as file:
        return file.read()


def sbatch(cluster, user, name, seconds, comment=""):
    """Slurm's id of a job with two GPUs that is not Kezek's."""
    unix = harness.USERS[user]
    more = ["--comment", comment] if comment else []
    done = subprocess.run(
        ["sbatch", "--parsable", "-J", name, *more, "--gpus=2", "--nodes=1", "--ntasks=1",
         "--mem=100M", "--time=2", "-o", "/dev/null", "--wrap", f"sleep {seconds}"],
        env=dict(cluster.slurm_env, HOME=cluster.home(user)), cwd=cluster.home(user), user=unix,
        group=unix, extra_groups=[], check=True, text=True, stdout=subprocess.PIPE)
    return int(done.stdout.strip().split(";")[0])


def booked(cluster):
    """(Slurm's id, milli-GPU-ms) of all charges for what is not Kezek's, in order."""
    return [(int(job), int(amount)) for job, amount in cluster.sql(
        "select foreign_job, amount from ledger where kind = 'foreign' and book = 'charge'"
        " order by seq")]


def due(cluster, job):
    """By Slurm's accounting, to the second; two GPUs are more than its CPU and its memory."""
    line = cluster.slurm("sacct", "-nPX", "-j", str(job), "-o", "start,end,alloctres").strip()
    start, end, tres = line.split("|")
    assert "gres/gpu=2" in tres.split(","), tres
    return 2000 * (int(end) - int(start)) * 1000


def foreign_gpus(cluster):
    nodes = json.loads(cluster.admin("admin", "node", "list", "-o", "json"))["nodes"]
    return sum(int(node.get("foreign_gpus", 0)) for node in nodes)


def shown(cluster, job, field):
    """A field of Slurm's own record of a job."""
    words = cluster.slurm("scontrol", "show", "job", str(job)).split()
    return next(word.partition("=")[2] for word in words if word.startswith(field + "="))


def runs_them_all(cluster):
    own = cluster.submit("aizhan", "-", script=JOB)
    cluster.until("its start", lambda: cluster.state("aizhan", own) == "running", 60)
    own_id = cluster.sql(f"select cluster_job_id from attempts where job_id = {own}")[0][0]
    name, tag = shown(cluster, own_id, "JobName"), shown(cluster, own_id, "Comment")
    assert name == f"kezek-{own}-1" and tag.startswith("kezek:"), (name, tag)
    subprocess.run(["scontrol", "update", f"jobid={own_id}", "jobname=mine"],
                   env=cluster.slurm_env, user=harness.USERS["aizhan"], check=True)
    theirs = [sbatch(cluster, "timur", "allocation", 15),
              sbatch(cluster, "daulet", "kezek-999-1", 12),
              sbatch(cluster, "aizhan", name, 5, tag)]
    gpus = cluster.until("their GPUs on nodes", lambda: foreign_gpus(cluster), 30)
    print(f"foreign: {gpus} GPUs on nodes are others'")
    cluster.until("its end", lambda: cluster.state("aizhan", own) == "succeeded", 90)
    return own_id, theirs


def charges_once(cluster, own_id, theirs):
    def all_there():
        return {job for job, _ in booked(cluster)} >= set(theirs)

    cluster.until("the charges", all_there, 150)  # slurmdbd is given a minute
    wanted = sorted((job, due(cluster, job)) for job in theirs)
    assert sorted(booked(cluster)) == wanted, f"{booked(cluster)}, by Slurm {wanted}"
    total = sum(amount for _, amount in wanted)
    cluster.until("their usage", lambda: is_near(usage(cluster), total), 30)  # by the next tick
    for _ in range(2):
        cluster.kill_kezekd()
        cluster.start_kezekd()
        time.sleep(6)  # several readings, the first of them a day back
    assert sorted(booked(cluster)) == wanted, f"after kills: {booked(cluster)}"
    assert int(own_id) not in {job for job, _ in booked(cluster)}, "Kezek's own"
    cluster.until("the same usage", lambda: is_near(usage(cluster), total), 30)
    sums = cluster.sql("select book, sum(amount) from ledger where kind = 'foreign' group by 1")
    assert sorted(sums) == [["charge", str(total)], ["usage", str(total)]], sums
    print(f"foreign: {len(wanted)} jobs, {total} milli-GPU-ms, once, through two kills")
    return total


def is_near(usage_now, total):
    """But for minutes of decay."""
    return abs(usage_now - total) <= total / 1000


def usage(cluster):
    answer = json.loads(cluster.admin("usage", ACCOUNT, "-o", "json"))
    return sum(int(row.get("usage_milli_gpu_ms", 0)) for row in answer["rows"]
               if not row.get("user") and row["account"] == ACCOUNT)


def tells(cluster, theirs, total):
    report = json.loads(cluster.admin("report", "usage", ACCOUNT, "-o", "json", "--since", "1d"))
    row = report["total"]
    assert int(row["foreign_milli_gpu_ms"]) == total == int(row["charged_milli_gpu_ms"]), row
    listed = cluster.admin("admin", "ledger", ACCOUNT, "--kind", "foreign", "--book", "charge")
    assert all(f"(Slurm's {job})" in listed for job in theirs), listed
    print(listed, end="")
    done = cluster.as_admin("report", "reconcile", "--since", "1h")
    assert f"Beside Kezek: {len(theirs)} jobs" in done.stdout, done.stdout + done.stderr
    assert f"{len(theirs)} charged" in done.stdout, done.stdout
    assert "FOREIGN_NOT_CHARGED" not in done.stdout, done.stdout
    print(done.stdout, end="")


def run(cluster):
    names_the_account_that_is_missing(cluster)
    own_id, theirs = runs_them_all(cluster)
    total = charges_once(cluster, own_id, theirs)
    tells(cluster, theirs, total)
    print("foreign: ok")
    return 0
