"""Goal: nodes drain towards maintenance and come back; a course runs on its nodes alone;
a kezekd that is killed forgets none of it.

Method: the demo's four nodes. Maintenance in some minutes on two of them: long jobs start on the
other two only, and say why; a short one starts there at once. With it deleted they all start. Then
a course from now on: a job with --reservation runs on its node, nothing else does, and who may not
is refused. The judges are the command line, the database and Slurm's accounting (`deploy/demo
check`)."""

import harness

LONG = """#!/bin/bash
#SBATCH --job-name=long --nodes=1 --gpus-per-node=8 --time=60 --output=/dev/null
sleep 600
"""
SHORT = """#!/bin/bash
#SBATCH --job-name=short --nodes=1 --gpus-per-node=8 --time=1 --output=/dev/null
sleep 3
"""
LESSON = """#!/bin/bash
#SBATCH --job-name=lesson --gpus=1 --time=1 --reservation=course --output=/dev/null
sleep 3
"""


def nodes_of(cluster, job):
    rows = cluster.sql(f"select array_to_string(nodes, ',') from attempts where job_id = {job}")
    return rows[0][0] if rows else ""


def maintenance(cluster, names):
    first, second = names[:2]
    print(cluster.admin("admin", "reservation", "create", "maint", "--nodes", f"{first},{second}",
                        "--start", "now+600", "--for", "30m", "--reason", "new firmware"), end="")
    long_ones = [cluster.submit("daulet", "-", script=LONG) for _ in range(4)]
    cluster.until("two long jobs", lambda: sum(cluster.state("daulet", job) == "running"
                                               for job in long_ones) == 2, 60)
    waiting = [job for job in long_ones if cluster.state("daulet", job) == "queued"]
    assert len(waiting) == 2, waiting
    for job in long_ones:
        if job not in waiting:
            assert nodes_of(cluster, job) not in (first, second), nodes_of(cluster, job)
    _, why, _ = cluster.kezek("daulet", "why", waiting[0])
    assert "reserved" in why and "maint" in why and "new firmware" in why, why
    _, listed, _ = cluster.kezek("daulet", "nodes")
    assert listed.count("maint") == 2, listed
    short = cluster.submit("daulet", "-", script=SHORT)
    cluster.until("the short job", lambda: cluster.state("daulet", short) == "succeeded", 90)
    assert nodes_of(cluster, short) in (first, second), "it ends before the maintenance"
    refused = cluster.admin("admin", "reservation", "create", "other", "--nodes", first, "--start",
                            "now+700", "--for", "30m", "--reason", "no", status=3)
    assert "maint" in refused, refused
    cluster.kill_kezekd()
    cluster.start_kezekd()
    assert "maint" in cluster.admin("admin", "reservation", "list")
    assert cluster.state("daulet", waiting[0]) == "queued"
    cluster.admin("admin", "reservation", "delete", "maint", "--reason", "done early")
    cluster.until("all long jobs", lambda: all(cluster.state("daulet", job) == "running"
                                               for job in long_ones), 60)
    refused = cluster.admin("admin", "reservation", "create", "maint", "--nodes", first, "--start",
                            "now+600", "--for", "30m", "--reason", "no", status=3)
    assert "may run there" in refused, refused
    for job in long_ones:
        cluster.kezek("daulet", "cancel", job)
    cluster.until("the end of the long jobs",
                  lambda: not cluster.kezek("daulet", "queue", "-o", "name")[1].strip(), 120)


def course(cluster, names):
    node = names[0]
    cluster.admin("admin", "reservation", "create", "course", "--nodes", node, "--start", "now+20",
                  "--for", "20m", "--every", "week", "--users", "aizhan@alem", "--reason", "course")
    lesson = cluster.submit("aizhan", "-", script=LESSON)
    cluster.until("the reason", lambda: "course" in cluster.kezek("aizhan", "why", lesson)[1], 15)
    status, _, errors = cluster.kezek("daulet", "submit", "-", script=LESSON)
    assert status == 3 and "not for this project or user" in errors, errors
    others = [cluster.submit("daulet", "-", script=SHORT) for _ in range(4)]
    cluster.until("the lesson", lambda: cluster.state("aizhan", lesson) == "succeeded", 120)
    assert nodes_of(cluster, lesson) == node
    start = cluster.sql(f"select start_ms from attempts where job_id = {lesson}")[0][0]
    begin = cluster.sql("select start_ms from admin_reservations where name = 'course'")[0][0]
    assert int(start) >= int(begin) // 1000 * 1000, "not before it begins, by Slurm's seconds"
    cluster.until("the others", lambda: all(cluster.state("daulet", job) == "succeeded"
                                            for job in others), 180)
    for job in others:
        assert nodes_of(cluster, job) != node, "the course's node is the course's"
    cluster.admin("admin", "reservation", "delete", "course", "--reason", "over")
    events = cluster.sql("select count(*) from events where subject = 'cluster'"
                         " and reason->'fields'->>'field' like 'reservation %'")
    assert events == [["4"]], events


def run(cluster):
    """The exit status."""
    names = sorted(cluster.admin("nodes", "-o", "name").split())
    assert len(names) == 4, names
    maintenance(cluster, names)
    course(cluster, names)
    print(cluster.demo("check"), end="")
    return 0
