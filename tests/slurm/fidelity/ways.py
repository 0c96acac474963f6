"""The two ways to run a case: sbatch, and kezek, each by the same Unix user on the same cluster."""

import json
import os
import re
import shutil
import subprocess
import time

import tools

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "cases")
USER = "daulet"
MARK = re.compile("slow|refused|prints .+")


def case_names():
    return sorted(name.removesuffix(".sh") for name in os.listdir(CASES))


def lay_out(name, folder):
    """The case's files into its folder; the shell lines that drive it, and its marks: `slow`,
    `refused` (by both), `prints TEXT` (a line in one of its files, without which it shows
    nothing)."""
    source = os.path.join(CASES, name)
    if os.path.isdir(source):
        shutil.copytree(source, folder)
        with open(os.path.join(folder, "drive"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        os.remove(os.path.join(folder, "drive"))
    else:
        os.makedirs(folder)
        shutil.copy(source + ".sh", os.path.join(folder, "job.sh"))
        with open(source + ".sh", encoding="utf-8") as file:
            lines = [line[3:].rstrip("\n") for line in file if line.startswith("#: ")]
    marks = [line for line in lines if MARK.fullmatch(line)]
    drive = "\n".join(line for line in lines if not MARK.fullmatch(line))
    if "submit" not in drive:
        drive += "\nsubmit job.sh"
    return drive, marks


class Way:
    """One way; `root` is a folder of the user's, with a folder for each case."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.root = os.path.join(cluster.home(USER), "fidelity", name)
        self.unix = f"kz-{USER}"
        shutil.rmtree(self.root, ignore_errors=True)
        tools.install(os.path.join(self.root, "bin"), name)
        self.env = {"PATH": f"{self.root}/bin:{cluster.folder}/bin:/usr/bin:/bin",
                    "HOME": cluster.home(USER), "LC_ALL": "C.UTF-8", "TZ": "UTC",
                    "SLURM_CONF": cluster.slurm_env["SLURM_CONF"],
                    "KEZEK_ENDPOINT": cluster.endpoint, "FIDELITY_BIN": f"{self.root}/bin"}
        self.drives, self.marks, self.submitted = {}, {}, {}

    def folder(self, case):
        return os.path.join(self.root, case)

    def prepare(self, cases):
        for case in cases:
            self.drives[case], self.marks[case] = lay_out(case, self.folder(case))
        subprocess.run(["chown", "-R", f"{self.unix}:", os.path.dirname(self.root)], check=True)

    def submit(self, cases):
        """Starts the drives of these cases, four at a time."""
        waiting, running = list(cases), {}
        while waiting or running:
            while waiting and len(running) < 4:
                case = waiting.pop(0)
                running[case] = self._drive(case)
            for case, process in list(running.items()):
                if process.poll() is not None:
                    self.submitted[case] = (process.returncode, process.stdout.read())
                    del running[case]
            time.sleep(0.02)

    def _drive(self, case):
        folder = self.folder(case)
        env = dict(self.env, FIDELITY_SEEN=folder)
        return subprocess.Popen(["bash", "-c", self.drives[case]], cwd=folder, env=env,
                                user=self.unix, group=self.unix, extra_groups=[], umask=0o022,
                                stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def jobs(self, case):
        path = os.path.join(self.folder(case), "jobs")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return file.read().split()

    def elements(self):
        """{"NUMBER_INDEX": number} of the elements of arrays that Slurm knows."""
        text = self.cluster.slurm("sacct", "-X", "-n", "-P", "-a", "-S", "now-1days", "-o",
                                  "JobID,JobIDRaw")
        return dict(line.split("|") for line in text.splitlines() if "_" in line)


class Sbatch(Way):
    def __init__(self, cluster):
        super().__init__(cluster, "sbatch")

    def alive(self, ids):
        """Which of these jobs are not over."""
        listed = self.cluster.slurm("squeue", "-h", "-u", self.unix, "-o", "%A %F %T").split("\n")
        found = set()
        for line in listed:
            found.update(line.split()[:2])
        return [job for job in ids if job in found]

    def outcomes(self, ids):
        """{job: [how each of its elements ended]}."""
        text = self.cluster.slurm("sacct", "-X", "-n", "-P", "-j", ",".join(ids), "-o",
                                  "JobID,State,ExitCode")
        ends = {job: [] for job in ids}
        for line in text.splitlines():
            job, state, code = line.split("|")
            ends[job.split("_")[0]].append((state.split(" ")[0].lower(), code))
        return ends


STATES = {"SUCCEEDED": "completed", "TIMED_OUT": "timeout"}


class Kezek(Way):
    def __init__(self, cluster):
        super().__init__(cluster, "kezek")
        self.outputs = os.path.join(cluster.folder, "kezek", "output")

    def _show(self, ids):
        status, output, errors = self.cluster.kezek(USER, "show", "-o", "json", *ids)
        assert status == 0, f"kezek show: {errors}"
        return {job["job"]: job for job in json.loads(output)["jobs"]}

    def alive(self, ids):
        over = ("SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED")
        jobs = self._show(ids) if ids else {}
        return [name for name, job in jobs.items()
                if job["state"].removeprefix("JOB_STATE_") not in over]

    def outcomes(self, ids):
        jobs = self._show(ids)
        elements = {name: self._elements(job) for name, job in jobs.items()}
        return {name: [_end(job) for job in parts] for name, parts in elements.items()}

    def _elements(self, job):
        if "array" not in job:
            return [job]
        return list(self._show([f"{job['job']}_[{job['spec']['array']['indices']}]"]).values())

    def default_outputs(self, case):
        """{name as sbatch would have it: content} of output that Kezek kept."""
        kept = {}
        for job in self.jobs(case):
            for name in os.listdir(self.outputs):
                if name != job and not name.startswith(job + "_"):
                    continue
                folder = os.path.join(self.outputs, name)
                text = ""
                for attempt in sorted(os.listdir(folder), key=int):
                    path = os.path.join(folder, attempt, "stdout")
                    if os.path.exists(path):
                        with open(path, encoding="utf-8", errors="replace") as file:
                            text += file.read()
                        kept[f"slurm-{name}.out"] = text
        return kept


def _end(job):
    state = job["state"].removeprefix("JOB_STATE_")
    last = job.get("attempts", [{}])[-1]
    code = f"{last.get('exit_code', 0)}:{last.get('exit_signal', 0)}"
    return STATES.get(state, state.lower()), code
