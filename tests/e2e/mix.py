"""Goal: what a user does through the command line works on real parts, and bad input changes
nothing. Method: every check below submits its own jobs; those that take long are started first and
looked at last. At the end the demo's own check compares everything with Slurm's records."""

import os
import re
import subprocess
import time
import traceback

import accounts
import harness
import prometheus
import walk

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def wait(cluster, user, *jobs):
    status, output, errors = cluster.kezek(user, "wait", *jobs)
    return status, output + errors


def expect(found, wanted, what):
    assert found == wanted, f"{what}: {found!r}, expected {wanted!r}"


@check
def goes_the_first_walk_of_the_user_guide(cluster):
    walk.run(cluster)


@check
def ends_with_the_jobs_own_code(cluster):
    good = cluster.submit("daulet", "--gpus", "1", "--time", "5m", "--", "sh", "-c",
                          "echo hello from $SLURMD_NODENAME; nvidia-count 1")
    bad = cluster.submit("daulet", "--gpus", "1", "--time", "5m", "--", "sh", "-c", "exit 7")
    expect(wait(cluster, "daulet", good)[0], 0, "wait for a job that succeeds")
    expect(wait(cluster, "daulet", bad)[0], 7, "wait for a job that exits 7")
    expect(cluster.state("daulet", bad), "failed", "its state")
    status, output, errors = cluster.kezek("daulet", "logs", good)
    assert status == 0 and "hello from n0" in output, f"logs: {status} {output!r} {errors!r}"
    status, _, _ = cluster.kezek("daulet", "submit", "--wait", "--gpus", "1", "--", "sh", "-c",
                                 "exit 9")
    expect(status, 9, "submit --wait")


@check
def follows_the_output(cluster):
    status, output, errors = cluster.kezek(
        "daulet", "submit", "--follow", "--gpus", "1", "--time", "5m", "--", "sh", "-c",
        "echo first; sleep 2; echo last")
    assert status == 0 and "first\nlast\n" in output, f"--follow: {status} {output!r} {errors!r}"


@check
def takes_a_slurm_script(cluster):
    script = """#!/bin/bash
#SBATCH --job-name=two-nodes
#SBATCH --nodes=2
#SBATCH --gpus-per-node=3
#SBATCH --ntasks-per-node=1
#SBATCH --time=5
#SBATCH --output=two-%j.out
srun bash -c 'echo "rank $SLURM_PROCID of $SLURM_NTASKS has $CUDA_VISIBLE_DEVICES"'
"""
    job = cluster.submit("aizhan", "-", script=script)
    status, text = wait(cluster, "aizhan", job)
    path = os.path.join(cluster.home("aizhan"), f"two-{job}.out")
    with open(path, encoding="utf-8") as file:
        lines = sorted(file.read().splitlines())
    expect(status, 0, f"a script for two nodes ({text}; {lines})")
    expect([line[:14] for line in lines], ["rank 0 of 2 ha", "rank 1 of 2 ha"], "its output")
    expect([line.count(",") for line in lines], [2, 2], "its GPUs")
    attempt = cluster.job("aizhan", job)["attempts"][0]
    expect([node["gpus"] for node in attempt["placement"]["nodes"]], [3, 3], "its placement")


@check
def cancels_what_runs_and_what_waits(cluster):
    running = cluster.submit("daulet", "--gpus", "2", "--time", "10m", "--", "sleep", "500")
    waiting = cluster.submit("daulet", "--gpus", "2", "--hold", "--", "sleep", "500")
    cluster.until("its start", lambda: cluster.state("daulet", running) == "running")
    for job in (waiting, running):
        expect(cluster.kezek("daulet", "cancel", job)[0], 0, f"cancel {job}")
        expect(wait(cluster, "daulet", job)[0], 121, "wait for a cancelled job")
        expect(cluster.state("daulet", job), "cancelled", "its state")
    left = cluster.slurm("squeue", "-h", "-n", f"kezek-{running}-1", "-t", "PD,R", "-o", "%i")
    expect(left, "", "what Slurm still runs of it")


@check
def signals_what_runs(cluster):
    script = """#!/bin/bash
#SBATCH --gpus=1 --time=5 --output=signal-%j.out
trap 'echo got USR1; exit 3' USR1
echo ready
while :; do sleep 0.2; done
"""
    job = cluster.submit("daulet", "-", script=script)
    later = cluster.submit("daulet", "--gpus", "1", "-d", f"after:{job}+30", "--", "true")
    # The output is a file of the user's own: the command reads it itself, as the user.
    cluster.until("its output", lambda: cluster.kezek("daulet", "logs", job)[1] == "ready\n", 180)
    # The delay counts from the start that Slurm tells, which may come after the job's first words.
    cluster.until("the end of its delay in the answer to why",
                  lambda: "until" in cluster.kezek("daulet", "why", later)[1])
    status, output, errors = cluster.kezek("daulet", "cancel", "--signal", "SIGUSR1", job, later)
    assert status == 0 and f"Job {job} gets USR1" in output, f"{status} {output!r} {errors!r}"
    status, output, _ = cluster.kezek("daulet", "logs", "-f", job)
    # Between them the shell may say what became of its sleep, which gets the signal, too.
    expect((status, output.split("\n")[0], output.split("\n")[-2]), (0, "ready", "got USR1"),
           "logs -f to the end")
    expect(wait(cluster, "daulet", job)[0], 3, "the job that was signalled")
    expect(cluster.state("daulet", later), "queued", "the job that waits out its delay")
    expect(cluster.kezek("daulet", "cancel", "--signal", "HUP", later)[0], 3, "nothing to signal")
    expect(cluster.kezek("daulet", "cancel", later)[0], 0, "cancel")


@check
def shows_what_each_node_writes(cluster):
    script = """#!/bin/bash
#SBATCH --nodes=2 --gpus-per-node=1 --ntasks-per-node=1 --time=5
srun bash -c 'echo "on $SLURMD_NODENAME" >$KEZEK_OUTPUT_DIR/stdout.$SLURMD_NODENAME'
srun --output=$KEZEK_OUTPUT_DIR/stdout.%t bash -c 'echo "rank $SLURM_PROCID"'
seq 1 3000
"""
    job = cluster.submit("daulet", "-", script=script)
    expect(wait(cluster, "daulet", job)[0], 0, "a job on two nodes")
    nodes = cluster.job("daulet", job)["attempts"][0]["placement"]["nodes"]
    for task, node in enumerate(node["node"] for node in nodes):
        expect(cluster.kezek("daulet", "logs", "--node", node, job)[1], f"on {node}\n", "--node")
        expect(cluster.kezek("daulet", "logs", "--task", str(task), job)[1], f"rank {task}\n",
               "--task")
    expect(cluster.kezek("daulet", "logs", "-n", "2", job)[1], "2999\n3000\n", "--tail")
    # srun may have said something, too, before the lines that are counted.
    end = cluster.kezek("daulet", "logs", job)[1].index("\n1001\n") + 1
    expect(cluster.kezek("daulet", "logs", "-n", "2", "--before", str(end), job)[1],
           "999\n1000\n", "--before")


@check
def holds_and_releases(cluster):
    job = cluster.submit("daulet", "--gpus", "1", "--hold", "--", "true")
    time.sleep(1.5)
    _, output, _ = cluster.kezek("daulet", "why", job)
    assert f"Job {job} is held by its user" in output, f"why of a held job: {output!r}"
    expect(cluster.state("daulet", job), "queued", "a held job")
    expect(cluster.kezek("daulet", "release", job)[0], 0, "release")
    expect(wait(cluster, "daulet", job)[0], 0, "wait for the released job")
    later = cluster.submit("daulet", "--gpus", "1", "--begin", "now+1hour", "--", "true")
    expect(cluster.kezek("daulet", "hold", later)[0], 0, "hold")
    expect(cluster.kezek("daulet", "cancel", later)[0], 0, "cancel")


@check
def says_why_a_job_waits(cluster):
    whole = cluster.submit("aizhan", "--nodes", str(cluster.nodes), "--gpus-per-node", "8",
                           "--time", "10m", "--", "sleep", "500")
    cluster.until("its start", lambda: cluster.state("aizhan", whole) == "running", 180)
    small = cluster.submit("timur", "--gpus", "4", "--time", "5m", "--", "nvidia-count", "4")
    status, code = cluster.until("a reason", lambda: reason_of(cluster, "timur", small), 30)
    expect((status, code), (0, "WAITS_FOR_GPUS"), "why -o name")
    _, output, _ = cluster.kezek("timur", "why", small)
    assert f"Job {small} waits for " in output and "satbayev" in output, f"why: {output!r}"
    _, output, _ = cluster.kezek("timur", "queue", "--all", "-o", "json")
    for secret in ("aizhan", "alem-llm", f'"{whole}"'):
        assert secret not in output, f"another institution's queue shows {secret}"
    expect(cluster.kezek("timur", "show", whole)[0], 4, "show of another institution's job")
    expect(cluster.kezek("timur", "cancel", whole)[0], 4, "cancel of another institution's job")
    expect(cluster.kezek("aizhan", "cancel", whole)[0], 0, "cancel")
    expect(wait(cluster, "timur", small)[0], 0, "the job that waited")


NOT_YET = ("", "NONE", "SUBMITTED", "NOT_LOOKED_AT")  # no tick has looked at it


def reason_of(cluster, user, job):
    status, output, _ = cluster.kezek(user, "why", "-o", "name", job)
    return None if output.strip() in NOT_YET else (status, output.strip())


@check
def keeps_dependencies(cluster):
    def submit(*arguments):
        return cluster.submit("daulet", "--gpus", "1", "--time", "5m", *arguments)

    first = submit("--", "sleep", "2")
    second = submit("--dependency", f"afterok:{first}", "--", "sh", "-c", "exit 4")
    third = submit("--dependency", f"afternotok:{second}", "--", "true")
    never = submit("--dependency", f"afterok:{second}", "--", "true")
    expect(wait(cluster, "daulet", third)[0], 0, "the end of the chain")
    expect(wait(cluster, "daulet", never)[0], 121, "a dependency that can no longer be met")
    times = [cluster.job("daulet", job)["attempts"][0] for job in (first, second, third)]
    for before, after in zip(times, times[1:]):
        assert int(before["end_ms"]) <= int(after["start_ms"]), f"the order of the chain: {times}"
    assert "attempts" not in cluster.job("daulet", never), "the job that could not start has run"


@check
def runs_an_array(cluster):
    job = cluster.submit("daulet", "--array", "0-6%2", "--gpus", "1", "--time", "5m",
                         "--output", "array-%a.out", "--", "sh", "-c",
                         "echo element $SLURM_ARRAY_TASK_ID; sleep 1")
    expect(wait(cluster, "daulet", job)[0], 0, "wait for the array")
    spans = []
    for element in range(7):
        with open(os.path.join(cluster.home("daulet"), f"array-{element}.out"),
                  encoding="utf-8") as file:
            expect(file.read(), f"element {element}\n", "output of an element")
        attempt = cluster.job("daulet", f"{job}_{element}")["attempts"][0]
        spans.append((int(attempt["start_ms"]), int(attempt["end_ms"])))
    for start, _ in spans:
        most = sum(begin <= start < end for begin, end in spans)
        assert most <= 2, f"{most} elements at once, at most 2 were asked for"


@check
def takes_ten_thousand_elements_as_one(cluster):
    def timed(*arguments):
        begun = time.monotonic()
        status, output, errors = cluster.kezek("daulet", *arguments)
        print(f"mix: {time.monotonic() - begun:.2f} s: kezek {' '.join(arguments[:2])}")
        assert status == 0, f"kezek {arguments}: {status} {errors}"
        return output

    job = timed("submit", "--array", "0-9999%20", "--hold", "--parsable", "--time", "5m",
                "--wrap", "true").strip()
    lines = [line for line in timed("queue").splitlines() if line.startswith(f"{job}_")]
    expect([line.split("\t")[0] for line in lines], [f"{job}_[0-9999]"], "its line in the queue")
    timed("hold", f"{job}_[0-999]")
    timed("cancel", f"{job}_[5000-9999]")
    lines = [line for line in timed("queue").splitlines() if line.startswith(f"{job}_")]
    expect(len(lines), 1, f"lines of it in the queue ({lines})")
    counts = cluster.job("daulet", job)["array"]
    expect((counts["queued"], counts["cancelled"]), (5000, 5000), "its elements")
    timed("cancel", job)
    expect(cluster.state("daulet", job), "cancelled", "its state in the end")


@check
def requeues_what_fails(cluster):
    job = cluster.submit("timur", "--requeue", "--max-attempts", "2", "--gpus", "1", "--time", "5m",
                         "--output", "requeue.out", "--", "sh", "-c",
                         "echo attempt $KEZEK_ATTEMPT of $KEZEK_JOB_ID; test $KEZEK_ATTEMPT = 2")
    expect(wait(cluster, "timur", job)[0], 0, "wait for the requeued job")
    expect(len(cluster.job("timur", job)["attempts"]), 2, "its attempts")
    with open(os.path.join(cluster.home("timur"), "requeue.out"), encoding="utf-8") as file:
        expect(file.read(), f"attempt 1 of {job}\nattempt 2 of {job}\n", "its output")


@check
def requeues_on_request(cluster):
    script = """#!/bin/bash
#SBATCH --gpus=1 --time=5 --output=asked-%j.out
#KEZEK --grace 30s
trap 'echo told; exit 9' TERM
echo "attempt $KEZEK_ATTEMPT"
test "$KEZEK_ATTEMPT" = 1 || exit 0
while :; do sleep 0.2; done
"""
    job = cluster.submit("timur", "-", script=script)
    status, _, errors = cluster.kezek("daulet", "requeue", job)
    expect(status, 4, f"a requeue of another institution's job ({errors})")
    cluster.until("its start", lambda: cluster.state("timur", job) == "running")
    cluster.until("its output", lambda: "attempt 1" in cluster.kezek("timur", "logs", job)[1])
    status, output, errors = cluster.kezek("timur", "requeue", "--comment", "new code", job)
    expect((status, output), (0, f"Job {job} is being ended, and queued again\n"), errors)
    expect(wait(cluster, "timur", job)[0], 0, "wait for the second attempt")
    expect([attempt["outcome"] for attempt in cluster.job("timur", job)["attempts"]],
           ["ATTEMPT_OUTCOME_REQUEUED", "ATTEMPT_OUTCOME_SUCCEEDED"], "its attempts")
    with open(os.path.join(cluster.home("timur"), f"asked-{job}.out"), encoding="utf-8") as file:
        words = file.read().split("\n")
    expect([word for word in words if word.startswith(("attempt", "told"))],
           ["attempt 1", "told", "attempt 2"], "what it wrote")
    expect(cluster.kezek("timur", "requeue", job)[0], 3, "a requeue of what is over")
    shown = cluster.admin("admin", "events", job, "--reason", "REQUEUED_BY_USER")
    assert ": new code; it gets the signal TERM" in shown, shown


def state_in_slurm(cluster, node):
    return set(cluster.slurm("sinfo", "-h", "-N", "-n", node, "-o", "%T").split())


@check
def drains_and_resumes_in_slurm_too(cluster):
    reason = "fan 3 of 'n04' fails"
    done = cluster.as_admin("admin", "node", "drain", "n04", "--reason", reason)
    expect(done.returncode, 0, f"the drain ({done.stderr})")
    commands = [line.partition("by hand: ")[2] for line in done.stderr.splitlines()
                if "by hand: " in line]
    by_hand = cluster.slurm("sinfo", "--version").split()[1].startswith("22.05")
    expect(len(commands), 1 if by_hand else 0, f"commands to be run by hand ({done.stderr})")
    for command in commands:
        cluster.slurm("bash", "-c", command)
    cluster.until("the drain in Slurm", lambda: state_in_slurm(cluster, "n04") <=
                  {"drained", "draining"}, 20)
    cluster.until("Slurm's reason", lambda: reason in cluster.slurm("sinfo", "-hR", "-o", "%E"), 20)
    shown = cluster.admin("admin", "node", "show", "n04")
    assert reason in shown and "Taken out by" in shown, shown
    done = cluster.as_admin("admin", "node", "resume", "n04")
    expect(done.returncode, 0, f"the resumption ({done.stderr})")
    commands = [line.partition("by hand: ")[2] for line in done.stderr.splitlines()
                if "by hand: " in line]
    expect(len(commands), 1 if by_hand else 0, f"commands to be run by hand ({done.stderr})")
    for command in commands:
        cluster.slurm("bash", "-c", command)
    cluster.until("the node in service", lambda: "up" in
                  cluster.admin("nodes", "n04").split("\n")[1].split("\t"), 20)
    events = cluster.admin("admin", "events", "n04", "--oldest-first", "-o", "csv")
    assert ",node,n04,0,up,draining," in events and reason in events, events


@check
def refuses_bad_input_and_keeps_nothing(cluster):
    def stored():
        status, output, errors = cluster.kezek("aizhan", "queue", "--ended", "-o", "name")
        expect(status, 0, f"queue ({errors})")
        return output

    before = stored()
    count = 0
    for arguments, script, words in bad_submissions(cluster):
        status, output, errors = cluster.kezek("aizhan", "submit", "-o", "name", *arguments,
                                               script=script)
        shown = f"submit {arguments} {script!r}: {status} {output!r} {errors!r}"
        assert status in (1, 2, 3, 4, 5) and not output and "error: " in errors, shown
        assert any(word in errors for word in words), f"{shown} does not name {words}"
        count += 1
    print(f"mix: {count} bad submissions")
    assert count >= 300, f"only {count} bad submissions"
    expect(stored(), before, "the jobs that are stored")


def entries(path, between):
    """The inputs of a table of malformed ones; messages are another test's."""
    with open(os.path.join(harness.ROOT, "tests", "unit", *path), encoding="utf-8") as file:
        found = [entry.split("\n----\n")[0] for entry in file.read().split(between)
                 if "\n----\n" in entry]
    plain = {"n": "\n", "t": "\t"}
    return [re.sub(r"\\(.)", lambda escape: plain.get(escape[1], escape[1]), entry)
            for entry in found]


def bad_submissions(cluster):
    """(arguments, script, words of which one must be in the error)."""
    for lines in entries(("script", "malformed.txt"), "\n\n"):
        if lines.startswith("#"):
            yield ["-"], f"#!/bin/bash\n{lines}\ntrue\n", ("standard input line ",)
    for text in entries(("cmd", "malformed_job_files.txt"), "\n====\n"):
        path = os.path.join(cluster.home("aizhan"), "bad.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        yield [path], None, (f"{path} line ", f"{path}: there is no job in it")
    for option, value, word in (
            ("--nodes", "0", "nodes"), ("--nodes", "500", "nodes"), ("--gpus", "-1", "gpus"),
            ("--gpus", "1000", "gpus"), ("--gpus", "11", "gpus"), ("--gpus", "two", "gpus"),
            ("--gpus-per-node", "9", "gpu"), ("--gres", "gpu:a100:1", "a100"),
            ("--time", "soon", "time"), ("--time", "-5", "time"), ("--class", "golden", "class"),
            ("--project", "moon/base", "project"), ("--project", "sports", "project"),
            ("--mem", "lots", "mem"), ("--mem", "900T", "mem"), ("--cpus-per-task", "0", "cpu"),
            ("--cpus-per-task", "4000", "cpu"), ("--array", "5-1", "array"),
            ("--array", "0-99999999", "array"), ("--dependency", "afterok:99999999", "depend"),
            ("--dependency", "sometime:1", "depend"), ("--begin", "yesterdayish", "begin"),
            ("--chdir", "/no/such/folder", "directory"), ("--nodelist", "n99", "n99"),
            ("--signal", "FOO@10", "signal"), ("--export", "1BAD=x", "export"),
            ("--kind", "dance", "kind"),
            ("--no-such-option", "1", "no-such-option")):
        yield [option, value, "--", "true"], None, (word, word.upper())
    yield ["--nice=a-little", "--", "true"], None, ("nice",)
    yield ["no-such-script.sh"], None, ("no-such-script.sh",)
    yield [], None, ("no script", "script is empty")
    yield ["-"], "echo no first line\n", ("standard input", "script", "#!")


@check
def serves_a_foreign_client(cluster):
    with open(f"{cluster.home('daulet')}/.kezek-token", encoding="utf-8") as file:
        env = dict(os.environ, KEZEK_TOKEN=file.read().strip())
    client = os.path.join(harness.ROOT, "tests", "e2e", "foreign_client.py")
    done = subprocess.run([client, cluster.endpoint, "universities/kaznu/nlp"], env=env, text=True,
                          check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=180)
    expect(done.returncode, 0, f"the exit status of foreign_client.py, which says: {done.stdout}")


@check
def rules_accounts_by_a_file_and_reports(cluster):
    accounts.run(cluster)


@check
def prometheus_reads_the_metrics(cluster):
    cluster.until("an empty machine", lambda: not queue_of_all(cluster), 120)
    prometheus.agrees(cluster)


def queue_of_all(cluster):
    return [job for user in harness.USERS
            for job in cluster.kezek(user, "queue", "-o", "name")[1].split()]


@check
def agrees_with_slurm(cluster):
    print(cluster.demo("check"), end="")


def clear(cluster, keep):
    """What a failed check has left must not stand in the way of the next."""
    for user in harness.USERS:
        _, output, _ = cluster.kezek(user, "queue", "-o", "name")
        left = [job for job in output.split() if job != keep]
        if left:
            cluster.kezek(user, "cancel", *left)


def run(cluster):
    """Runs all checks; the exit status."""
    failed = []
    limit = ""

    def attempt(name, function):
        start = time.monotonic()
        try:
            function()
            print(f"ok     {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception:  # every check runs
            failed.append(name)
            clear(cluster, limit)
            print(f"FAILED {name}\n{traceback.format_exc(limit=-2)}", flush=True)

    attempt(CHECKS[0].__name__, lambda: CHECKS[0](cluster))  # wants an empty machine
    limit = cluster.submit("daulet", "--gpus", "1", "--time", "1m", "--", "sleep", "400")
    for one in CHECKS[1:-1]:
        attempt(one.__name__, lambda one=one: one(cluster))

    def ends_at_its_limit():
        expect(wait(cluster, "daulet", limit)[0], 128 + 15, "wait for a job that Slurm's TERM ends")
        expect(cluster.state("daulet", limit), "timed_out", "its state")

    attempt("ends_at_its_limit", ends_at_its_limit)
    attempt(CHECKS[-1].__name__, lambda: CHECKS[-1](cluster))
    print(f"{len(CHECKS) + 1 - len(failed)} of {len(CHECKS) + 1} checks passed")
    if failed:
        print(cluster.tail_of_log())
    return 1 if failed else 0
