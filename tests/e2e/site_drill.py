"""Goal: what is broken about the site is named by `kezek admin doctor`, and what it says mends it;
associations that Slurm lacks are planned, made and used; the ledger and Slurm's accounting are
compared to the second.

Method: the demo's four nodes. Each thing is broken by hand, once: an association taken away, rights
given to the database's role, a guard of the ledger switched off, a key that others may read, a
slurmrestd that is gone, or stopped in the middle of its work. Each time the doctor must name it,
and nothing else, and be silent when its own command has been run. Then records are changed on one
side and the comparison must name that, and nothing else."""

import json
import os
import signal
import subprocess
import time

import harness

SLURM = os.path.join(harness.ROOT, "deploy", "cluster", "slurm")
JOB = """#!/bin/bash
#SBATCH --job-name=site --gpus=2 --time=2 --output=/dev/null
sleep 2
"""


def as_admin(cluster, *arguments):
    """(exit status, what is printed) of a command that may end with 0 or 1."""
    done = cluster.as_admin(*arguments)
    assert done.returncode in (0, 1), f"{arguments}: status {done.returncode}: {done.stderr}"
    return done.returncode, done.stdout


def doctor(cluster, *checks, status=None):
    """What is to be mended: (check, what was found, how to mend it)."""
    ended, text = as_admin(cluster, "admin", "doctor", "-o", "json", *checks)
    lines = json.loads(text[:text.rindex("}") + 1])["lines"]
    problems = [(line["check"], line["found"]["sentence"], line.get("mend", ""))
                for line in lines if line["result"] == "CHECK_RESULT_FIX"]
    assert bool(problems) == bool(ended), f"exit status {ended}, and {problems}"
    assert status in (None, ended), f"exit status {ended}, and {problems}"
    return problems


def names(problems):
    return sorted({check for check, _, _ in problems})


def starts_well(cluster):
    problems = doctor(cluster)
    assert not problems, f"a fresh site: {problems}"
    shown = cluster.admin("admin", "doctor", "-o", "wide")
    print(shown, end="")
    for check in ("slurm-api", "slurm-token", "slurm-acting", "slurm-accounting", "slurm-clock",
                  "slurm-partition", "slurm-nodes", "slurm-topology", "slurm-config",
                  "database-server", "database-settings", "database-role", "database-guards",
                  "database-schema", "database-clock", "output-root", "host-files", "kezek-users",
                  "kezek-state"):
        assert f"ok\t{check}\t" in shown, f"{check} is not ok: {shown}"
    with open(f"{cluster.folder}/kezek/admin.token", encoding="utf-8") as file:
        assert file.read().strip() not in shown, "a secret is shown"


def makes_associations(cluster):
    unix = harness.USERS["daulet"]
    accounts = cluster.slurm("sacctmgr", "-nP", "show", "assoc", "user=" + unix,
                             "format=account").split()
    assert accounts, f"{unix} has no association"
    cluster.slurm("sacctmgr", "-i", "delete", "user", unix)
    problems = doctor(cluster, "slurm", status=1)
    assert names(problems) == ["slurm-accounts"] and unix in problems[0][1], problems
    refused = cluster.submit("daulet", "-", script=JOB)
    cluster.until("the hold", lambda: "cluster refuses" in
                  cluster.kezek("daulet", "why", refused)[1], 60)
    _, why, _ = cluster.kezek("daulet", "why", refused)
    assert "Invalid account" in why and "kezek admin slurm plan" in why, why
    plan = cluster.admin("admin", "slurm", "plan", "-o", "name")
    assert unix in plan, plan
    before = cluster.sql("select coalesce(max(seq), 0) from events")[0][0]
    print(cluster.admin("admin", "slurm", "apply", "--yes"), end="")
    assert cluster.admin("admin", "slurm", "plan", "-o", "name") == "", "all is made"
    noted = cluster.sql("select actor, reason->'fields'->>'text' from events where subject = "
                        f"'cluster' and seq > {before}")
    assert any(unix in text for _, text in noted), f"no event of it: {noted}"
    assert cluster.admin("admin", "slurm", "apply", "--yes").startswith("Slurm's accounting has")
    assert doctor(cluster, "slurm", status=0) == []
    again = cluster.slurm("sacctmgr", "-nP", "show", "assoc", "user=" + unix,
                          "format=account").split()
    assert set(again) <= set(accounts), f"{again}, there were {accounts}"
    status, _, errors = cluster.kezek("daulet", "release", refused)
    assert status == 0, errors
    cluster.until("its end", lambda: cluster.state("daulet", refused) == "succeeded", 120)
    print(f"site: {unix} runs again, in {', '.join(again)}")


def breaks(cluster, what, check, breaking, mending):
    breaking()
    problems = []
    try:
        problems = doctor(cluster)
        assert names(problems) == [check], f"{what}: {problems}"
        for _, found, mend in problems:
            print(f"site: {what}: {check}: {found}\n      mend: {mend.splitlines()[-1]}")
    finally:
        mending(problems)
    left = doctor(cluster)
    assert left == [], f"{what}, after it was mended: {left}"


def names_what_is_broken(cluster):
    def sql(statement):
        return lambda *_: cluster.sql(statement)  # as the superuser: no admin of Kezek's may

    def as_told(problems):
        for _, _, mend in problems:
            for step in mend.splitlines():
                if step.startswith("psql "):
                    run_psql(cluster, step)

    breaks(cluster, "a role that may do all", "database-role",
           sql("alter role kezek_app superuser"), as_told)
    breaks(cluster, "a ledger that can be changed", "database-guards",
           sql("alter table ledger disable trigger only_grows"), as_told)
    breaks(cluster, "rights on what only grows", "database-role",
           sql("grant update on events to kezek_app"), as_told)
    breaks(cluster, "commits that may be lost", "database-settings",
           sql("alter role kezek_app set synchronous_commit = off"), as_told)
    key = f"{cluster.folder}/kezek/tag.key"
    breaks(cluster, "a key that others may read", "host-files",
           lambda: os.chmod(key, 0o644), lambda *_: os.chmod(key, 0o400))
    root = f"{cluster.folder}/kezek/output"
    breaks(cluster, "a root of outputs that users cannot pass", "output-root",
           lambda: os.chmod(root, 0o700), lambda *_: os.chmod(root, 0o711))


def run_psql(cluster, command):
    with open(f"{cluster.folder}/env", encoding="utf-8") as file:
        values = dict(line.removeprefix("export ").strip().split("=", 1) for line in file)
    env = dict(os.environ)
    env.update((name, value) for name, value in values.items() if name.startswith("PG"))
    subprocess.run(["bash", "-c", command], env=env, check=True, stdout=subprocess.DEVNULL)


def bears_what_hangs(cluster):
    def slurm(verb):
        subprocess.run([SLURM, verb, cluster.folder, "slurmrestd"], check=True,
                       stdout=subprocess.DEVNULL)

    slurm("stop")
    try:
        gone = doctor(cluster, "slurm-api", "database", status=1)
        assert names(gone) == ["slurm-api"], gone
    finally:
        slurm("start")
    cluster.until("slurmrestd", lambda: not doctor(cluster, "slurm-api"), 60)
    pid = pid_of_slurmrestd(cluster)
    os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        text = cluster.admin("admin", "doctor", "-o", "wide", status=1)
        took = time.monotonic() - begun
    finally:
        os.kill(pid, signal.SIGCONT)
    assert took < 30, f"{took:.1f} s while slurmrestd hung"
    assert "problem\tslurm-api\t" in text and "ok\tdatabase-role\t" in text, text
    print(f"site: {took:.1f} s while slurmrestd hung")
    cluster.until("slurmrestd", lambda: not doctor(cluster), 90)


def needs_no_server(cluster):
    """The same checks by the daemon's program, while none runs."""
    cluster.stop_kezekd()
    try:
        for user, status, word in (("kezek", 0, "ok\tdatabase-role\t"),
                                   ("nobody", 2, "cannot be read")):
            done = subprocess.run(
                ["setpriv", "--reuid", user, "--regid", "kezek", "--init-groups", "--reset-env",
                 "env", f"SLURM_CONF={cluster.slurm_env['SLURM_CONF']}",
                 f"{cluster.folder}/bin/kezekd", "--config",
                 f"{cluster.folder}/kezek/kezekd.yaml", "doctor"],
                check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert done.returncode == status and word in done.stdout, done.stdout
    finally:
        subprocess.run([os.path.join(harness.ROOT, "deploy", "cluster", "kezekd"), "start",
                        cluster.folder], check=True)
    print("site: kezekd doctor needs no server")


def pid_of_slurmrestd(cluster):
    for root, _, files in os.walk(f"{cluster.folder}/slurm"):
        for name in files:
            if name == "slurmrestd.pid":
                with open(os.path.join(root, name), encoding="utf-8") as file:
                    return int(file.read())
    raise AssertionError("no pid file of slurmrestd")


def differences(cluster, *arguments):
    status, text = as_admin(cluster, "report", "reconcile", "-o", "json", *arguments)
    answer = json.loads(text[:text.rindex("}") + 1])
    rows = [(row["reason"]["code"], row["job"]) for row in answer.get("rows", [])]
    assert bool(rows) == bool(status), f"exit status {status}, and {rows}"
    return answer, rows


def compares_with_slurm(cluster):
    jobs = [cluster.submit(user, "-", script=JOB) for user in ("aizhan", "timur", "aizhan")]
    for job, user in zip(jobs, ("aizhan", "timur", "aizhan")):
        cluster.until("its end", lambda j=job, u=user: cluster.state(u, j) == "succeeded", 120)
    time.sleep(62)  # what has just ended is not compared
    answer, rows = differences(cluster, "--since", "1h")
    assert rows == [] and int(answer["compared"]) >= len(jobs), (rows, answer.get("compared"))
    totals = {total["slurm_account"]: total for total in answer["totals"]}
    assert all(total["here_milli_gpu_ms"] == total["slurm_milli_gpu_ms"]
               for total in totals.values()), totals
    print(f"site: {answer['compared']} attempts compared, {len(totals)} accounts alike")

    def changed(what, statement, back, codes):
        cluster.sql(statement)
        try:
            _, found = differences(cluster, "--since", "1h")
        finally:
            cluster.sql(back)
        assert sorted(found) == sorted((code, jobs[0]) for code in codes), f"{what}: {found}"
        print(f"site: {what}: {', '.join(codes)}")

    where = f"where job_id = {jobs[0]}"
    changed("an end that differs", f"update attempts set end_ms = end_ms + 3000 {where}",
            f"update attempts set end_ms = end_ms - 3000 {where}", ["END_DIFFERS"])
    changed("a Slurm job that is not there",
            f"update attempts set cluster_job_id = cluster_job_id + 500000 {where}",
            f"update attempts set cluster_job_id = cluster_job_id - 500000 {where}",
            ["UNKNOWN_TO_SLURM", "UNKNOWN_HERE"])
    changed("a rate that differs", f"update attempts set rate_milli = 2 * rate_milli {where}",
            f"update attempts set rate_milli = rate_milli / 2 {where}", ["CHARGE_DIFFERS"])
    assert differences(cluster, "--since", "1h")[1] == []


def run(cluster):
    starts_well(cluster)
    makes_associations(cluster)
    names_what_is_broken(cluster)
    bears_what_hangs(cluster)
    needs_no_server(cluster)
    compares_with_slurm(cluster)
    print("site: ok")
    return 0
