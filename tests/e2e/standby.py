"""Goal: a second kezekd on the same database answers reads, names the leader for the rest, and
takes over when the leader is killed; nothing acknowledged is lost, nothing runs twice.

Method: two kezekds with ports of their own over the demo's PostgreSQL and Slurm. Clients know the
second one alone and submit through it: the command line goes on to the leader. In the middle of
that the leader is killed with SIGKILL. The judges are those of kill.py: jobs' files and sacct."""

import os
import re
import signal
import socket
import subprocess
import time

import kill


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Second:
    """Another kezekd: the first one's configuration with ports of its own, and with more."""

    def __init__(self, cluster, http="off", more=""):
        self.cluster = cluster
        self.http = http
        self.more = more
        self.endpoint = f"127.0.0.1:{free_port()}"
        self.log = os.path.join(cluster.folder, "log", "kezekd-second.log")

    def __enter__(self):
        first = os.path.join(self.cluster.folder, "kezek", "kezekd.yaml")
        path = os.path.join(self.cluster.folder, "kezek", "second.yaml")
        with open(first, encoding="utf-8") as file:
            text = re.sub(r"(?m)^grpc_listen: .*$", f"grpc_listen: {self.endpoint}", file.read())
        text = re.sub(r"(?m)^http: .*$", f"http: {{listen: '{self.http}'}}", text) + self.more
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.chown(path, os.stat(first).st_uid, os.stat(first).st_gid)
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [f"{self.cluster.folder}/bin/kezekd", "--config", path], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, user="kezek", group="kezek", extra_groups=[])
        return self

    def __exit__(self, kind, problem, trace):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        if kind is not None:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                print("e2e: the end of kezekd-second.log:\n" + "".join(file.readlines()[-20:]))


def check_standing_by(cluster, first, second, script):
    """Reads are answered by the second itself; the rest, by the leader, reached through it."""
    cluster.endpoint = second.endpoint
    cluster.until("the second kezekd", lambda: cluster.kezek("daulet", "whoami")[0] == 0, 30)
    name = cluster.submit("daulet", script)
    cluster.until("the job on the standby",
                  lambda: cluster.kezek("daulet", "show", name)[0] == 0, 10)
    listed = cluster.kezek("daulet", "queue", "--ended", "-o", "name")[1].split()
    assert name in listed, f"the standby lists {listed}, not {name}"
    for read in (["nodes"], ["admin", "account", "list"]):
        status, _, errors = cluster.kezek("daulet", *read)
        assert status == 0, f"{read} on the standby: {errors}"
    cluster.until("the end of the first job",
                  lambda: cluster.state("daulet", name) == "succeeded", 60)
    with open(second.log, encoding="utf-8", errors="replace") as file:
        assert "leading epoch" not in file.read(), "two lead"
    print(f"standby {second.endpoint} of {first}: reads, and what it sends on to the leader")


def kill_leader_midway(cluster, submitters, jobs):
    while len(submitters.acknowledged) < jobs // 2 and not submitters.wrong:
        time.sleep(0.01)
    begin = time.monotonic()
    cluster.kill_kezekd()
    before = len(submitters.acknowledged)
    cluster.until("a submission after the leader's end",
                  lambda: len(submitters.acknowledged) > before + kill.CLIENTS, 60)
    print(f"leader killed after {before} acknowledged; the standby took over within "
          f"{time.monotonic() - begin:.1f} s")


def run(cluster, jobs):
    """The exit status."""
    with Second(cluster) as second:
        script, folder = kill.workplace(cluster)
        check_standing_by(cluster, cluster.endpoint, second, script)
        submitters = kill.Submitters(cluster, jobs, lambda: [script])
        submitters.start()
        try:
            kill_leader_midway(cluster, submitters, jobs)
        except BaseException:
            submitters.wrong.append("the standby did not take over as planned")
            raise
        finally:
            submitters.join()
        problems = kill.problems_of(cluster, submitters, folder, jobs)
        print(f"{len(submitters.acknowledged)} acknowledged, {submitters.unanswered} without an "
              f"answer, {len(os.listdir(folder))} runs, {len(problems)} problems")
        for problem in problems[:30]:
            print(f"  {problem}")
        return 1 if problems else 0
