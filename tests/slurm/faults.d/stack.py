"""The whole stack in a temporary folder, with the proxy between kezekd and slurmrestd, and what a
fault does to one part of it: end it by force, start it again, change what Slurm knows."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.append(os.path.join(ROOT, "tests", "e2e"))

import harness  # noqa: E402
import proxy  # noqa: E402
import standby  # noqa: E402

REQUEST_TIMEOUT_S = 5
CLUSTER = os.path.join(ROOT, "deploy", "cluster")
ADMIN_S = 20  # until somebody resumes a node
BACKUP = "kezek-backup"  # the host name of the second slurmctld
# The pid file of each part, and its process's name.
PARTS = {"slurmctld": ("slurm/run/slurmctld.pid", "slurmctld"),
         "slurmdbd": ("slurm/run/slurmdbd.pid", "slurmdbd"),
         "slurmrestd": ("slurm/run/slurmrestd.pid", "slurmrestd"),
         "munged": ("slurm/munge/munged.pid", "munged"),
         "mariadb": ("slurm/mariadb/server.pid", "mariadbd"),
         "postgres": ("postgres/data/postmaster.pid", "postgres"),
         "kezekd": ("kezek/kezekd.pid", "kezekd")}


def name_of(pid):
    """The process's name; nothing of one that has ended, waited for or not."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            status = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if "\nState:\tZ" in status else status.split("\n", 1)[0].split("\t")[1]


class Second(standby.Second):
    """A second kezekd that is ended by force."""

    def kill(self):
        self.process.kill()
        self.process.wait(20)


class Stack(harness.Cluster):
    """A demo's cluster whose kezekd asks slurmrestd through the proxy."""

    def __init__(self, nodes, last_id, patience_s, seed):
        super().__init__(nodes)
        self.last_id, self.patience_s, self.seed = last_id, patience_s, seed
        self.proxy = None
        self.tokens = ""
        self.token_file = self.path("kezek/slurm.jwt")
        self.faults = []  # kind, since when and until when it lasted
        self.controller_killed = []  # when slurmctld was
        self.died = []     # nodes with all that ran there, and when
        self.touched = {}  # by an admin behind Kezek's back: what was done, by the job's name
        self.drained = {}  # nodes, and since when they are seen so
        self.states_lost = []  # when slurmctld forgot everything
        self.restores = []  # restored.Restore
        self.clients = None

    def __enter__(self):
        super().__enter__()
        try:
            self.slurm_conf_lines()
            parts = ("slurmctld", "slurmrestd", *self.node_names())
            self.part("stop", *parts)
            self.part("start", *parts)
            with open(self.path("ports/slurmrestd"), encoding="utf-8") as file:
                upstream = ("127.0.0.1", int(file.read()))
            self.proxy = proxy.Proxy(upstream, REQUEST_TIMEOUT_S, self.seed)
            self.stop_kezekd()
            self.kezekd_conf()
            self.start_leader()
            self.until("all nodes", self.nodes_idle, 60)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def demo(self, *arguments, show=False):
        """Standard output is for figures."""
        return super().demo(*arguments)

    def path(self, name):
        return os.path.join(self.folder, name)

    def node_names(self):
        return [f"n{number:02d}" for number in range(1, self.nodes + 1)]

    def nodes_idle(self):
        states = self.slurm("sinfo", "-h", "-N", "-o", "%T").split()
        return len(states) == self.nodes and all(state in ("idle", "mixed") for state in states)

    def slurm_conf_lines(self):
        """Small ids that come round again; what has ended is soon forgotten; nodes soon down. And
        a second slurmctld, with a configuration and a name service of its own."""
        path = self.path("slurm/etc/slurm.conf")
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"SlurmctldHost={BACKUP}(127.0.0.2)\nSlurmctldTimeout=5\n"
                       f"FirstJobId=1\nMaxJobId={self.last_id}\nMinJobAge=30\nSlurmdTimeout=20\n")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(self.path("slurm/etc/backup.conf"), "w", encoding="utf-8") as file:
            file.write(text.replace("/slurmctld.pid", "/backup.pid").replace(
                "/slurmctld.log", "/backup.log"))
        with open("/etc/hosts", encoding="utf-8") as file:
            hosts = file.read()
        with open(self.path("slurm/etc/hosts"), "w", encoding="utf-8") as file:
            file.write(f"{hosts}\n127.0.0.2 {BACKUP}\n")

    def kezekd_conf(self, tokens="key"):
        """Over the proxy, with tokens that it signs or those of a file."""
        self.tokens = tokens
        path = self.path("kezek/kezekd.yaml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        head, _, rest = text.partition("slurm:\n")
        tail = rest[rest.index("munge:"):]
        own = (f"token_file: {self.token_file}" if tokens == "file" else
               f"jwt_key_file: {self.path('kezek/jwt_hs256.key')}")
        text = (f"{head}slurm:\n  url: http://127.0.0.1:{self.proxy.port}\n  {own}\n"
                f"  request_timeout: {REQUEST_TIMEOUT_S}s\n  launch_timeout: 30s\n"
                f"  accounting_patience: {self.patience_s}s\n{tail}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def write_token(self, lifespan):
        """A token of SlurmUser for kezekd's file, by the key that Slurm has."""
        with open(self.path("slurm/etc/jwt_hs256.key"), "rb") as file:
            key = file.read()
        begun = int(time.time())
        claims = {"exp": begun + lifespan, "iat": begun + min(0, lifespan) - 60, "sun": "slurm"}
        signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
                           for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        self.write_secret(self.token_file,
                          signed + b"." + base64.urlsafe_b64encode(digest).rstrip(b"="))

    def write_secret(self, path, content):
        """Replaced whole, for the Unix user kezek alone."""
        with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o400), "wb") as f:
            f.write(content)
        owner = os.stat(self.path("kezek/tag.key"))
        os.chown(path + ".new", owner.st_uid, owner.st_gid)
        os.rename(path + ".new", path)

    # Parts.

    @contextlib.contextmanager
    def backup_slurmctld(self):
        """The second slurmctld, standing by: on a host of another name, as far as it can see."""
        hosts = self.path("slurm/etc/hosts")
        with open(self.path("log/backup.out"), "ab") as log, subprocess.Popen(
                ["unshare", "--uts", "--mount", "sh", "-c",
                 f"hostname {BACKUP} && mount --bind {hosts} /etc/hosts && exec slurmctld -D"],
                env={**self.slurm_env, "SLURM_CONF": self.path("slurm/etc/backup.conf")},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
            try:
                yield process
            finally:
                process.kill()

    def takeovers(self):
        """How often the backup has led."""
        path = self.path("log/backup.log")
        if not os.path.exists(path):
            return 0
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().count("Running as primary controller")

    def part(self, verb, *parts):
        done = subprocess.run([os.path.join(CLUSTER, "slurm"), verb, self.folder, *parts],
                              check=False, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise AssertionError(f"slurm {verb} {' '.join(parts)}: {done.stdout}")

    def pid(self, part):
        """Of the part that runs; 0: it does not."""
        file, name = PARTS.get(part, (f"slurm/run/slurmd.{part}.pid", "slurmd"))
        try:
            with open(self.path(file), encoding="utf-8") as content:
                pid = int(content.readline() or 0)
        except (FileNotFoundError, ValueError):
            return 0
        return pid if pid and name_of(pid) == name else 0

    def kill(self, part):
        """By force, and waits for its end."""
        pid = self.pid(part)
        if pid == 0:
            return
        if part == "slurmctld":
            self.controller_killed.append(time.time())
        os.kill(pid, signal.SIGKILL)
        self.until(f"the end of {part}", lambda: not name_of(pid), 20)

    def start_slurmctld(self, *options):
        """After a kill: what it had not saved yet is no reason not to begin, as it is for 26.05."""
        subprocess.run(self.slurm_words("slurmctld", "-i", *options), env=self.slurm_env,
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        self.until("slurmctld", lambda: self.pid("slurmctld"), 60)  # else it is started twice
        self.part("start", "slurmctld")

    def start_leader(self):
        subprocess.run([os.path.join(CLUSTER, "kezekd"), "start", self.folder], check=True,
                       stdout=subprocess.DEVNULL)

    def answers(self):
        """Whether somebody leads, by the first kezekd's address."""
        return self.kezek("daulet", "usage", timeout=60)[0] == 0

    def second(self):
        return Second(self)

    def state_lost(self):
        self.states_lost.append(time.time())

    def start_postgres(self):
        subprocess.run([os.path.join(CLUSTER, "postgres"), "up", self.folder, "--auth", "scram"],
                       check=True, stdout=subprocess.DEVNULL)

    def dump(self):
        """A copy of Kezek's database; its path."""
        path = self.path("copy.dump")
        self.postgres("pg_dump", "--format=custom", "--schema=kezek", f"--file={path}")
        return path

    def restore(self, path):
        self.postgres("pg_restore", "--dbname=kezek", "--clean", "--if-exists",
                      "--single-transaction", path)

    def postgres(self, *command):
        subprocess.run(command, env={**self.postgres_env(), "PGDATABASE": "kezek"}, check=True,
                       stdout=subprocess.DEVNULL)

    def kill_processes(self, node):
        """What runs on the node besides slurmd: a machine that is switched off."""
        log = self.path(f"log/slurmd.{node}.log")
        parents, steps = {}, set()
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
                    parents[pid] = int(file.read().rpartition(")")[2].split()[1])
                if name_of(pid) == "slurmstepd" and log in self.open_files(pid):
                    steps.add(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
        doomed = set(steps)
        while True:
            more = {pid for pid, parent in parents.items() if parent in doomed} - doomed
            if not more:
                break
            doomed |= more
        for pid in [*steps, *(doomed - steps)]:  # a step's daemon first: it must not tell the end
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    @staticmethod
    def open_files(pid):
        folder = f"/proc/{pid}/fd"
        names = set()
        for number in os.listdir(folder):
            try:
                names.add(os.readlink(os.path.join(folder, number)))
            except FileNotFoundError:
                continue
        return names

    def slurm_jobs(self):
        """(id, state, name) of Kezek's jobs that Slurm has and that are not over. One too many,
        held, of another name or comment by now, is whoever's it was made, for ever."""
        rows = [line.split("|", 4)
                for line in self.told("squeue", "-h", "-a", "-o", "%i|%T|%j|%r|%k")]
        return [row[:3] for row in rows if len(row) == 5 and row[2].startswith("kezek-")
                and row[2] != "kezek-9999999-1"  # one that was renamed so
                and (row[3] != "JobHeldUser" or row[4].startswith("kezek:"))]

    def resume_nodes(self):
        """A slurmctld that gives ids again drains nodes where a job that it forgot still has its
        id: an admin's to resume, who takes a while. How many were."""
        now = time.monotonic()
        drained = {line.split("|")[0] for line in self.told("sinfo", "-h", "-N", "-o", "%N|%E")
                   if "|Duplicate jobid" in line}
        self.drained = {node: self.drained.get(node, now) for node in drained}
        return sum(self.command("scontrol", "update", f"NodeName={node}", "State=RESUME")
                   for node, since in sorted(self.drained.items()) if now - since > ADMIN_S)

    def told(self, *words):
        """The lines that a command of Slurm's prints; none where it fails."""
        done = subprocess.run(self.slurm_words(*words), env=self.slurm_env, check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
        return done.stdout.splitlines()

    def command(self, *words):
        """A command of Slurm's that may fail; whether it did not."""
        done = subprocess.run(self.slurm_words(*words), env=self.slurm_env, check=False, timeout=60,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0
