"""A demo cluster for tests: up in a temporary folder, down and removed at the end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEMO = os.path.join(ROOT, "deploy", "demo")
USERS = {"aizhan": "kz-aizhan", "daulet": "kz-daulet", "timur": "kz-timur"}


class Cluster:
    """The cluster; a context that takes everything down again."""

    def __init__(self, nodes, slices=0):
        self.nodes = nodes
        self.slices = slices
        self.kept = os.environ.get("KEZEK_E2E_DIR", "")
        self.folder = self.kept or tempfile.mkdtemp(prefix="kezek-e2e-", dir="/tmp")
        binaries = os.environ.get("KEZEK_BIN_DIR", os.path.join(ROOT, "build", "dev", "bin"))
        self.env = dict(os.environ, KEZEK_DEMO_DIR=self.folder, KEZEK_DEMO_BIN=binaries)
        self.slurm_env = {}
        self.client_env = {}  # what kezek is told besides
        self.endpoint = ""
        self.http = ""

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o755)
        try:
            slices = ["--slices", str(self.slices)] if self.slices else []
            self.demo("up", "--nodes", str(self.nodes), *slices, "--no-jobs", show=True)
            self._read_env()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, problem, trace):
        if self.kept or os.environ.get("KEZEK_E2E_KEEP"):
            print(f"e2e: left up; KEZEK_DEMO_DIR={self.folder} deploy/demo down --purge ends it")
            return
        if kind is not None:
            print(self.tail_of_log())
        self.demo("down", "--purge")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read_env(self):
        with open(os.path.join(self.folder, "env"), encoding="utf-8") as file:
            values = dict(line.removeprefix("export ").strip().split("=", 1) for line in file)
        self.endpoint = values["KEZEK_ENDPOINT"]
        self.http = values["KEZEK_HTTP"]
        self.slurm_env = dict(os.environ, SLURM_CONF=values["SLURM_CONF"], SLURM_TIME_FORMAT="%s")

    def tail_of_log(self):
        path = os.path.join(self.folder, "log", "kezekd.log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return "e2e: the end of kezekd.log:\n" + "".join(file.readlines()[-30:])

    def demo(self, *arguments, show=False):
        done = subprocess.run([DEMO, *arguments], env=self.env, check=False, text=True,
                              stdout=None if show else subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise AssertionError(f"deploy/demo {' '.join(arguments)}: {done.stdout}")
        return done.stdout

    def home(self, user):
        return os.path.join(self.folder, "home", USERS[user])

    def start(self, user, *arguments, stdin=subprocess.DEVNULL):
        """kezek as this user, in the user's home; a process."""
        unix, home = USERS[user], self.home(user)
        env = {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "HOME": home, "LC_ALL": "C.UTF-8",
               "SLURM_CONF": self.slurm_env["SLURM_CONF"], "KEZEK_ENDPOINT": self.endpoint,
               **self.client_env}
        return subprocess.Popen([f"{self.folder}/bin/kezek", *arguments], cwd=home, env=env,
                                user=unix, group=unix, extra_groups=[], text=True, stdin=stdin,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def kezek(self, user, *arguments, script=None, timeout=180):
        """(exit status, output, errors) of the command; a script is its standard input."""
        process = self.start(user, *arguments,
                             stdin=subprocess.DEVNULL if script is None else subprocess.PIPE)
        try:
            output, errors = process.communicate(input=script, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"kezek {' '.join(arguments)}: no end in {timeout} s") from None
        return process.returncode, output, errors

    def as_admin(self, *arguments, script=None):
        """What subprocess.run says of kezek, run for the cluster's admin."""
        with open(f"{self.folder}/kezek/admin.token", encoding="utf-8") as file:
            token = file.read().strip()
        env = dict(os.environ, KEZEK_ENDPOINT=self.endpoint, KEZEK_TOKEN=token,
                   KEZEK_CONFIG="/dev/null")
        return subprocess.run([f"{self.folder}/bin/kezek", *arguments], env=env,
                              input=script or "", text=True, check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)

    def admin(self, *arguments, script=None, status=0):
        """What kezek says to the cluster's admin; errors, too, where another status is expected."""
        done = self.as_admin(*arguments, script=script)
        assert done.returncode == status, \
            f"kezek {' '.join(arguments)}: status {done.returncode}: {done.stderr}"
        return done.stdout if status == 0 else done.stdout + done.stderr

    def postgres_env(self):
        """The environment of PostgreSQL's programs, as its superuser."""
        with open(f"{self.folder}/env", encoding="utf-8") as file:
            values = dict(line.removeprefix("export ").strip().split("=", 1) for line in file)
        return {**os.environ,
                **{name: value for name, value in values.items() if name.startswith("PG")}}

    def sql(self, statement):
        """Rows of texts, of Kezek's own tables."""
        env = {**self.postgres_env(), "PGDATABASE": "kezek", "PGOPTIONS": "-c search_path=kezek"}
        done = subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-c", statement], env=env,
                              check=True, text=True, stdout=subprocess.PIPE)
        return [line.split("|") for line in done.stdout.splitlines()]

    def submit(self, user, *arguments, script=None):
        status, output, errors = self.kezek(user, "submit", "-o", "name", *arguments, script=script)
        assert status == 0, f"submit {arguments}: status {status}: {errors}"
        return output.strip()

    def job(self, user, name):
        status, output, errors = self.kezek(user, "show", "-o", "json", name)
        assert status == 0, f"show {name}: {errors}"
        return json.loads(output)["jobs"][0]

    def state(self, user, name):
        return self.job(user, name)["state"].removeprefix("JOB_STATE_").lower()

    def until(self, what, condition, seconds=90):
        """Waits until condition() holds; its value."""
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not in {seconds} s")
            time.sleep(0.2)

    def slurm_words(self, *words):
        """A command line of Slurm's programs, of the release that the cluster has."""
        if not os.path.exists(f"{self.folder}/slurm/release"):
            return words
        return (os.path.join(ROOT, "deploy", "cluster", "slurm"), "run", self.folder, *words)

    def slurm(self, *command):
        return subprocess.run(self.slurm_words(*command), env=self.slurm_env, check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def kill_kezekd(self):
        with open(f"{self.folder}/kezek/kezekd.pid", encoding="utf-8") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            assert file.read().strip() == "kezekd", "the process in the pid file is another one"
        os.kill(pid, signal.SIGKILL)
        self.until("the end of kezekd", lambda: not os.path.exists(f"/proc/{pid}/exe"), 20)

    def kezekd(self, what):
        """What: start or stop."""
        subprocess.run([os.path.join(ROOT, "deploy", "cluster", "kezekd"), what, self.folder],
                       check=True, stdout=subprocess.DEVNULL)

    def stop_kezekd(self):
        self.kezekd("stop")

    def configure(self, text):
        """More of kezekd.yaml, and a start with it."""
        self.kezekd("stop")
        with open(f"{self.folder}/kezek/kezekd.yaml", "a", encoding="utf-8") as file:
            file.write(text)
        self.kezekd("start")

    def start_kezekd(self):
        self.demo("up", "--no-jobs")
