"""Goal: what a job finds where it runs. Whole GPUs and MIG slices of one host go to different jobs,
each with its devices; the ranks of a gang meet at MASTER_ADDR and MASTER_PORT; a script with an
image runs in a container by the site's command line.

Method: a real Slurm whose last node has one GPU less and 7 slices instead. Devices are read in the
jobs; who holds what of the host is judged by Slurm's accounting (`deploy/demo check`). bubblewrap
is the container runtime, and the host's own files are the image."""

import os
import subprocess

NODES = 2
SLICES = 7
TYPE = "h200-1g.18gb"
HOST = f"n{NODES:02}"
PART = f"{HOST}/{TYPE}"
CONF = """
containers:
  launch: >-
    bwrap --ro-bind {image} / --dev /dev --proc /proc --bind {output} {output}
    --setenv INSIDE yes {command}
"""
DEVICES = """#!/bin/bash
#SBATCH --time=5 --output=%x.out
echo "node $SLURMD_NODENAME devices ${CUDA_VISIBLE_DEVICES:-none}"
sleep 15
"""
MEETING = """#!/bin/bash
#SBATCH --job-name=meeting --nodes=2 --ntasks-per-node=2 --gpus-per-node=2 --time=5 --output=%x.out
[ "$MASTER_ADDR" = "$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)" ] || exit 3
srun python3 meet.py
"""
# All nodes are this host, whatever they are called.
MEET = """
import os, socket, time
rank, ranks = int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
where = ("127.0.0.1", int(os.environ["MASTER_PORT"]))
if rank == 0:
    with socket.create_server(where) as server:
        met = {0}
        while len(met) < ranks:
            with server.accept()[0] as one:
                met.add(int(one.recv(9)))
    print("met", sorted(met), flush=True)
else:
    for attempt in range(100):
        try:
            with socket.create_connection(where) as one:
                one.sendall(str(rank).encode())
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
"""
CONTAINED = """#!/bin/bash
#SBATCH --job-name=contained --gpus=1 --time=5
echo "inside=$INSIDE root=$(touch /etc/there 2>/dev/null && echo open || echo closed) with $1"
exit 7
"""


def read(cluster, name):
    with open(os.path.join(cluster.home("aizhan"), name), encoding="utf-8") as file:
        return file.read()


def check_parts(cluster):
    shown = cluster.kezek("aizhan", "nodes", "-o", "name")[1].split()
    assert PART in shown and HOST in shown, shown
    whole = cluster.submit("aizhan", "--job-name", "whole", "--nodelist", HOST,
                           "--gpus", "h200:7", "-", script=DEVICES)
    slices = [cluster.submit("aizhan", "--job-name", f"slices{i}", "--gpus", f"{TYPE}:3", "-",
                             script=DEVICES) for i in range(2)]
    late = cluster.submit("aizhan", "--job-name", "late", "--gpus", f"{TYPE}:2", "-",
                          script=DEVICES)
    cluster.until("whole GPUs and slices side by side",
                  lambda: all(cluster.state("aizhan", job) == "running"
                              for job in [whole, *slices]), 60)
    placed = cluster.sql("select distinct nodes from attempts where job_id in"
                         f" ({','.join(slices)})")
    assert placed == [["{" + PART + "}"]], placed
    assert cluster.state("aizhan", late) == "queued", "six of seven slices are in use"
    status, _, errors = cluster.kezek("aizhan", "submit", "--gpus", f"{TYPE}:1", "--exclusive",
                                      "--", "true")
    assert status != 0, "nobody has the host for himself"
    assert "host" in errors or "never" in errors or "node" in errors, errors
    cluster.until("the third", lambda: cluster.state("aizhan", late) == "succeeded", 120)
    seen = {}
    for name in ("whole", "slices0", "slices1"):
        words = read(cluster, f"{name}.out").split()
        assert words[1] == HOST, words
        seen[name] = set(words[3].split(","))
    assert [len(seen[name]) for name in seen] == [7, 3, 3], seen
    assert not seen["slices0"] & seen["slices1"], f"devices of both: {seen}"
    print(f"7 GPUs and {SLICES} slices of {HOST}: {seen}", flush=True)


def check_meeting(cluster):
    home = cluster.home("aizhan")
    with open(os.path.join(home, "meet.py"), "w", encoding="utf-8") as file:
        file.write(MEET)
    job = cluster.submit("aizhan", "-", script=MEETING)
    cluster.until("the ranks", lambda: cluster.state("aizhan", job) in ("succeeded", "failed"), 90)
    assert read(cluster, "meeting.out").split("\n")[0] == "met [0, 1, 2, 3]", \
        read(cluster, "meeting.out")


def check_container(cluster):
    job = cluster.submit("aizhan", "--container-image", "/", "-", "an argument", script=CONTAINED)
    cluster.until("its end", lambda: cluster.state("aizhan", job) in ("succeeded", "failed"), 60)
    _, text, _ = cluster.kezek("aizhan", "logs", job)
    assert text.strip() == "inside=yes root=closed with an argument", text
    _, shown, _ = cluster.kezek("aizhan", "show", job)
    assert "7" in shown and cluster.state("aizhan", job) == "failed", shown


def run(cluster):
    """The exit status."""
    if subprocess.run(["bwrap", "--ro-bind", "/", "/", "true"], check=False).returncode != 0:
        raise AssertionError("bubblewrap cannot make a container here")
    cluster.configure(CONF)
    check_parts(cluster)
    check_meeting(cluster)
    check_container(cluster)
    print(cluster.demo("check"), end="")
    return 0
