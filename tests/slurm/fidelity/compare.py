"""What a case left behind, without ids, nodes and folders; and what differs."""

import os
import re
import socket
import stat

# Different at every run, whatever starts it.
VOLATILE = {"SLURM_TASK_PID", "SLURM_SRUN_COMM_PORT", "SLURM_STEP_LAUNCHER_PORT", "_",
            "SLURM_JOB_START_TIME", "SLURM_JOB_END_TIME", "MASTER_PORT"}
IDS = {"KEZEK_BEGUN", "KEZEK_JOB_ID", "SLURM_JOBID", "SLURM_JOB_ID"}
DEVICES = {"CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS"}
OWN = {"jobs", "warnings"}
HOST = socket.gethostname().split(".")[0]


def _nodes(text):
    """Node names without their numbers; a list becomes its length."""
    def count(match):
        names = 0
        for piece in match.group(1).split(","):
            ends = piece.split("-")
            names += int(ends[-1]) - int(ends[0]) + 1
        return f"<{names} nodes>"
    text = re.sub(r"\bn\[([0-9,-]+)\]", count, text)
    return re.sub(r"\bleaf\d\b", "<leaf>", re.sub(r"\bn0\d\b", "<node>", text))


def _numbers(text):
    """Names of files: a job's number after j or A, or in sbatch's default."""
    text = re.sub(r"(?<=-[jA])\d+(_\d+)?", lambda m: f"#{m.group(1) or ''}", text)
    text = re.sub(rf"(?<=-N){re.escape(HOST)}\b", "<host>", text)
    text = re.sub(r"\bslurm-\d+(_\d+)?\.out", lambda m: f"slurm-#{m.group(1) or ''}.out", text)
    return re.sub(r"/job\d+(_\d+)?/", "/job#/", text)


class Scrubber:
    def __init__(self, way, elements):
        self.root, self.elements = way.root, elements
        self.kept = os.path.join(way.cluster.folder, "kezek", "output")

    def path(self, text):
        text = text.replace(self.root, "<root>")
        text = re.sub(r"\b(JOB|STEP) \d+(\.\d+)?\b|\bStepId=[\w.]+|\bjob \d+\b", "<job>", text)
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+", "<time>", text)
        text = re.sub(r"\bkezek:[0-9a-f:]{40,}", "kezek:<mark>", text)
        text = re.sub(r"\bkezek-\d+-\d+\b", "kezek-<job>-<attempt>", text)
        text = re.sub(re.escape(self.kept) + r"/\S+", "<kept by Kezek>", text)
        return _nodes(_numbers(text))

    def variable(self, name, value):
        if name in VOLATILE:
            return "<any>"
        if name in IDS:
            return "<id>"
        if name in DEVICES:
            return f"<{len(value.split(','))} devices>"
        if name == "SLURM_JOB_DEPENDENCY":
            return re.sub(r"\d+", "<id>", value)
        return self.path(value)

    def array(self, variables):
        """Whose number SLURM_ARRAY_JOB_ID is: who takes it depends on that."""
        element = f"{variables['SLURM_ARRAY_JOB_ID']}_{variables.get('SLURM_ARRAY_TASK_ID')}"
        if self.elements.get(element) == variables["SLURM_JOB_ID"]:
            return "the array's number in Slurm"
        if variables.get("KEZEK_JOB_ID") == element:
            return "the array's number in Kezek"
        return "another array's number"


def _read_seen(path, scrub):
    """{"env NAME" or what else: value} of one observation."""
    seen, variables, process = {}, {}, False
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for line in file.read().split("\n"):
            if line == "-- process":
                process = True
            elif process and line.startswith(("limit ", "signals ")):
                name, _, value = line.rpartition(" ")
                seen[name.split(" (")[0]] = value
            elif process and line.startswith("fd "):
                _, number, target = line.split(" ", 2)
                name = f"file descriptor {number.replace('4', '1')}"
                seen[name] = scrub.path(target).split(":[")[0]
            elif process and line:
                name, _, value = line.partition(" ")
                seen[name.rstrip(":")] = value.strip()
            elif line:
                name, _, value = line.partition("=")
                variables[name] = value
                seen[f"`{name}`"] = scrub.variable(name, value)
    if "SLURM_ARRAY_JOB_ID" in variables:
        seen["`SLURM_ARRAY_JOB_ID`"] = scrub.array(variables)
    return seen


# What Slurm says by chance: a process was gone already, a step had to wait for the one before, a
# script's last words of its requeueing were still written.
CHANCE = re.compile("_handle_signal_container: failed signal|step creation temporarily disabled"
                    "|srun: Step created for|DUE TO JOB REQUEUE")


def _lines(text, scrub):
    """Sorted: tasks write when they like."""
    return sorted(scrub.path(line) for line in text.splitlines() if not CHANCE.search(line))


def look(way, case, ends, elements):
    """{what: value} of a case that is over."""
    scrub, found, folder = Scrubber(way, elements), {}, way.folder(case)
    status, said = way.submitted[case]
    found["exit status of submitting"] = str(status)
    if status != 0:
        found["what submitting said"] = said
    found["ends of the jobs"] = sorted(f"{state} {code}" for job in way.jobs(case)
                                       for state, code in ends[job])
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            label = scrub.path(os.path.relpath(path, folder))
            if label in OWN:
                continue
            state = os.stat(path)
            if name.startswith("seen."):
                for what, value in _read_seen(path, scrub).items():
                    found[f"{label[5:]}: {what}"] = value
                continue
            owner = "user" if state.st_uid != 0 else "root"
            found[f"file {label}: mode"] = f"{stat.S_IMODE(state.st_mode):04o} {owner}"
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = found.get(f"file {label}: lines", []) + _lines(file.read(), scrub)
            found[f"file {label}: lines"] = sorted(lines)
    if way.name == "kezek":
        for name, text in way.default_outputs(case).items():
            label = _numbers(name)
            if f"file {label}: lines" not in found:
                found[f"file {label}: mode"] = "kept by Kezek"
                found[f"file {label}: lines"] = _lines(text, scrub)
    return found


def faults(marks, found):
    """Why a case shows nothing, however alike both ways are."""
    refused = found["exit status of submitting"] != "0"
    if refused != ("refused" in marks):
        return [f"refused: {found['what submitting said']}" if refused else "not refused"]
    lines = {line for what, value in found.items() if what.endswith(": lines") for line in value}
    wanted = [mark.removeprefix("prints ") for mark in marks if mark.startswith("prints ")]
    return [f"does not print: {text}" for text in wanted if text not in lines]


def differences(theirs, ours):
    """[(what, sbatch's, Kezek's)], None where there is none."""
    return [(what, theirs.get(what), ours.get(what))
            for what in sorted(set(theirs) | set(ours)) if theirs.get(what) != ours.get(what)]
