"""Goal: docs/user/first-walk.md shows what happens. Method: the page is the script: every line that
begins with `$` in one of its indented blocks is typed as the page's user on a terminal, and what
comes must be what the page shows, but for numbers of jobs, times, lengths in seconds, and nodes. A
comment `<!-- until JOB running -->` in the page waits for a state of a job, or for the code of its
reason, or for so many running elements. With `update` the page gets the new outputs."""

import difflib
import os
import pty
import re
import subprocess

import harness

PAGE = os.path.join(harness.ROOT, "docs", "user", "first-walk.md")
USER = "aizhan"
COLUMNS = 120
INDENT = "    "
VERBS = "why|show|logs|cancel|hold|release|wait|update|until"
JOB_WRITTEN = re.compile(rf"((?:{VERBS})(?: -\S+)* '?|after\w+:)(\d+)")
JOB_MADE = re.compile(r"^Job (\d+) (?:queued|starting|held)", re.MULTILINE)

# What differs from one walk to the next, in this order.
UNSTABLE = (
    (r"^Job (?:\d+) (?:queued: |starting on ).*", "Job # taken"),
    (r"\b([Jj]ob +)\d+", r"\1#"),
    (r"\bkezek (\w+) \d+", r"kezek \1 #"),
    (r"^\d+(_[\d\[\],-]+)?(?=  )", r"#\1"),
    (r"127\.0\.0\.1:\d+", "HOST:PORT"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"\b(?:tomorrow )?\d{1,2}:\d\d\b", "TIME"),
    (r"\b(?:\d+ min )?\d+ s\b", "LENGTH"),
    (r"(?:leaf\d: )?\bn(?:\d+|\[[\d,-]+\])(?:,n\d+)*", "NODES"),
    (r"^(research/\S+|research:).*", r"\1 FIGURES"),
    (r"^(# .*LENGTH +)\d+ +[\d.]+", r"\1SLURM HOURS"),
    (r" {2,}", "  "),
)


class Step:
    """A command of the page with the output below it: lines first to last, without."""

    def __init__(self, command, first, last):
        self.command, self.first, self.last = command, first, last


def steps_of(lines):
    """The commands of the page, and the conditions between them, as they come."""
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        condition = re.fullmatch(r"<!-- (until .*) -->", line)
        if condition:
            yield Step(condition.group(1), at - 1, at)
        if not line.startswith(INDENT + "$ "):
            continue
        first = at - 1
        command = line.removeprefix(INDENT + "$ ")
        if command.endswith("<<'END'"):
            while not command.endswith("\nEND"):
                command += "\n" + lines[at].removeprefix(INDENT)
                at += 1
        while True:
            more = at  # an empty line is the output's if more output follows
            while more < len(lines) and not lines[more]:
                more += 1
            if more == len(lines) or not lines[more].startswith(INDENT) or \
                    lines[more].startswith(INDENT + "$ "):
                break
            at = more + 1
        yield Step(command, first, at)


def typed(cluster, command):
    """What the user's terminal shows after the command."""
    ours, theirs = pty.openpty()
    unix, home = harness.USERS[USER], cluster.home(USER)
    env = {"PATH": f"{cluster.folder}/bin:/usr/bin:/bin", "HOME": home, "LC_ALL": "C.UTF-8",
           "KEZEK_ENDPOINT": cluster.endpoint, "NO_COLOR": "1"}
    line = f"stty cols {COLUMNS} rows 40 -echo; {command}"
    with subprocess.Popen(["bash", "-c", line], cwd=home, env=env, user=unix, group=unix,
                          extra_groups=[], stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the last one has closed the terminal
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert process.returncode is not None
    text = shown.decode().replace("\r\n", "\n").replace(home, f"/home/{unix}")
    text = text.replace(f"{cluster.folder}/kezek/output", "/shared/kezek-output")
    return re.sub(r"[^\n]*\x1b\[K", "", text)  # a line of progress, wiped away


def stable(text):
    for pattern, replacement in UNSTABLE:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def holds(cluster, job, what):
    """Whether `running`, `WAITS_FOR_GPUS` or `4 running` is true of the job."""
    if what.isupper():
        status, code, _ = cluster.kezek(USER, "why", "-o", "name", job)
        return status == 0 and code.strip() == what
    found = cluster.job(USER, job)
    if what[0].isdigit():
        return found.get("array", {}).get("running") == int(what.split()[0])
    return found["state"] == "JOB_STATE_" + what.upper()


def run(cluster, update=False):
    """Walks; an AssertionError with the first difference."""
    with open(PAGE, encoding="utf-8") as file:
        lines = file.read().splitlines()
    numbers = {}  # of the page, as they are now
    written, end, count = [], 0, 0

    def now(match):
        return match.group(1) + numbers.get(match.group(2), match.group(2))

    for step in steps_of(lines):
        written += lines[end:step.first]
        end = step.last
        command = JOB_WRITTEN.sub(now, step.command)
        if command.startswith("until "):
            _, job, what = command.split(" ", 2)
            cluster.until(f"job {job} {what}", lambda: holds(cluster, job, what))
            written.append(f"<!-- {command} -->")
            continue
        count += 1
        shown = typed(cluster, command)
        old = lines[step.first + step.command.count("\n") + 1:step.last]
        expected = "\n".join(line.removeprefix(INDENT) for line in old)
        numbers.update(zip(JOB_MADE.findall(expected), JOB_MADE.findall(shown)))
        if update:
            block = f"$ {command}\n{shown}".rstrip().split("\n")
            written += [(INDENT + line).rstrip() for line in block]
            continue
        difference = list(difflib.unified_diff(stable(expected), stable(shown), "page", "now",
                                               lineterm="", n=1))
        assert not difference, f"$ {command}\n" + "\n".join(difference) + f"\n{shown}"
    assert count >= 20, f"only {count} commands on the page"
    if update:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write("\n".join(written + lines[end:]) + "\n")
