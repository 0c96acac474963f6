"""Goal: no budget is overshot by one unit, and the ledger adds up, whatever is killed meanwhile.

Method: a tree of institutions and projects of its own, each with a budget that holds one to three
jobs at a time and is soon used up. Clients submit short jobs to all of them at once while kezekd is
killed with SIGKILL and PostgreSQL restarted at moments drawn from a seed. When nothing that waits
fits any more, the ledger is added up in SQL, in the order of its entries: no budget was ever below
zero or above its grant; both sides of all entries are 0; nothing is held any more; what is stored
and shown of each budget is what its entries come to; and no job waits that its budgets would hold.
Then Slurm's accounting, the second judge, is compared with every charge (`deploy/demo check`), and
its seconds alone stay within each grant."""

import collections
import os
import random
import subprocess
import time

import harness
import kill

CLIENTS = 32
PROJECTS_EACH = 4  # of an institution; it has a budget, too
HOLD_S = 180       # a job of one GPU and a minute: the limit and two minutes more
SECTOR = "drill"
# Why a job may wait when nothing fits any more; the last until its launch may be tried again.
WAITS = ("BUDGET_EXHAUSTED", "NOT_LOOKED_AT", "LAUNCH_BACKOFF")
YEAR_MS = 365 * 86_400_000


class Drill:
    """The accounts, their budgets, and what SQL says of them."""

    def __init__(self, cluster, budgets, rng):
        self.cluster = cluster
        self.institutions = max(1, budgets // (PROJECTS_EACH + 1))
        self.projects, self.granted_s = [], {}
        self.rng = rng

    def make(self):
        now = int(time.time() * 1000)
        lines = ["accounts:", f"- {{path: {SECTOR}, kind: sector}}"]
        for i in range(self.institutions):
            institution = f"{SECTOR}/i{i:02d}"
            lines += self.account(institution, "institution", now, self.rng.randint(2, 3))
            for k in range(PROJECTS_EACH):
                self.projects.append(f"{institution}/p{k}")
                lines += self.account(self.projects[-1], "project", now, self.rng.randint(1, 2))
        self.cluster.admin("admin", "apply", "-f", "-", "--yes", "--reason", "a drill",
                   script="\n".join(lines) + "\n")
        self.cluster.admin("admin", "user", "grant", "daulet@kaznu", "cluster-admin")

    def account(self, path, kind, now, holds):
        """So many holds, and something for their charges."""
        milli_hours = holds * HOLD_S * 1000 // 3600 + self.rng.randint(1, 10)
        self.granted_s[path] = milli_hours * 3.6
        start, end = now - YEAR_MS, now + YEAR_MS
        return [f"- path: {path}", f"  kind: {kind}", "  settings:", "    budgets:",
                f"    - {{name: drill, milli_gpu_hours: {milli_hours}, start_ms: {start}, "
                f"end_ms: {end}}}"]

    def nothing_fits(self):
        """Nothing runs, and of every project where jobs wait a budget is below a hold; both at one
        moment: between two statements something may start."""
        return self.cluster.sql(
            "select not exists (select 1 from attempts where not settled) and not exists"
            " (select 1 from jobs j join accounts p on p.id = j.project_id"
            " where j.state = 'queued' and not exists"
            " (select 1 from budget_totals b where b.account_id in (p.id, p.parent_id)"
            f" and b.left_amount < {HOLD_S * 1_000_000}))") == [["t"]]


def disturb(cluster, submitters, options, rng):
    """Kills and restarts in random order, spread over all submissions."""
    acts = ["kill"] * options.kills + ["restart"] * options.restarts
    rng.shuffle(acts)
    for number, act in enumerate(acts):
        goal = (number + rng.random()) * options.jobs / (len(acts) + 1)
        while len(submitters.acknowledged) < goal and not submitters.wrong:
            time.sleep(0.01)
        time.sleep(rng.random() * 0.3)
        if act == "kill":
            cluster.kill_kezekd()
        else:
            postgres = os.path.join(harness.ROOT, "deploy", "cluster", "postgres")
            subprocess.run([postgres, "down", cluster.folder], check=True,
                           stdout=subprocess.DEVNULL)
        print(f"{act} after {len(submitters.acknowledged)} acknowledged", flush=True)
        cluster.start_kezekd()


REPLAY = """
with moves as (
  select seq, budget_account_id, budget,
    case 'left' when pot then amount when contra then -amount else 0 end as to_left,
    case when pot in ('held', 'spent') then amount else 0 end
      - case when contra in ('held', 'spent') then amount else 0 end as to_used,
    case when contra = 'grants' then amount when pot = 'grants' then -amount else 0 end as granted
  from ledger where book = 'budget'),
sums as (
  select budget_account_id, budget, seq, sum(to_left) over w as left_then,
    sum(to_used) over w as used_then, sum(granted) over w as granted_then
  from moves window w as (partition by budget_account_id, budget order by seq))
select budget_account_id, budget, seq from sums where left_then < 0 or used_then > granted_then
"""

DIFFERENT = """
select b.budget_account_id, b.budget from budget_balances b
left join budget_totals t on t.account_id = b.budget_account_id and t.name = b.budget
where (b.left_amount, b.held, b.spent, b.granted)
  is distinct from (t.left_amount, t.held, t.spent, t.granted)
"""


def judge_ledger(drill):
    for account, budget, seq in drill.cluster.sql(REPLAY):
        yield f"budget {budget} of {account} was overshot by entry {seq}"
    for account, budget in drill.cluster.sql(DIFFERENT):
        yield f"budget {budget} of {account}: what is stored is not what its entries come to"
    both = drill.cluster.sql("select coalesce(sum(amount), 0), count(*) from budget_postings")[0]
    if both[0] != "0" or both[1] == "0":
        yield f"both sides of {both[1]} postings come to {both[0]}"
    for account, held in drill.cluster.sql("select budget_account_id, held from budget_balances"
                                   " where held <> 0"):
        yield f"a budget of {account} still holds {held}"
    paid = drill.cluster.sql(
        "select l.job_id from ledger l join accounts a on a.id = l.project_id"
        " where l.job_id > 0 and l.book <> 'usage' group by l.job_id having"
        " coalesce(sum(amount) filter (where book = 'charge'), 0) * 2 <>"
        " coalesce(sum(amount) filter (where book = 'budget' and pot = 'spent'), 0)")
    yield from (f"job {job}: its two budgets were not charged what it cost" for job, in paid)


def judge_shown(drill):
    stored = {}
    for path, left, spent in drill.cluster.sql(
            "with recursive paths as (select id, name::text as path from accounts"
            " where parent_id = 1 union all select a.id, p.path || '/' || a.name from accounts a"
            " join paths p on p.id = a.parent_id)"
            " select path, left_amount, spent from budget_balances join paths"
            " on id = budget_account_id"):
        stored[path] = (int(left), int(spent))
    if len(stored) != len(drill.granted_s):
        yield f"{len(stored)} budgets are stored, {len(drill.granted_s)} were set"
    metrics = subprocess.run(
        ["curl", "-sfH", "Authorization: Bearer " + drill.cluster.admin(
            "admin", "token", "create", "--user", "daulet@kaznu", "--label", "drill", "-o",
            "name").strip(), f"{drill.cluster.http}/metrics"],
        check=True, text=True, stdout=subprocess.PIPE).stdout
    for path, (left, spent) in sorted(stored.items()):
        for name, amount in (("left", left), ("spent", spent)):
            wanted = (f'kezek_budget_{name}_gpu_seconds'
                      f'{{account="{path}",budget="drill",gpu_type=""}} ')
            shown = [float(line.removeprefix(wanted)) for line in metrics.splitlines()
                     if line.startswith(wanted)]
            if shown != [amount / 1_000_000]:
                yield f"{path}: {name} is {amount} in the ledger and {shown} GPU-s in the metrics"


def judge_slurm(drill, jobs):
    """GPU-seconds by Slurm alone: one GPU for each of these jobs."""
    project_of = {job["job"]: job["project"] for job in jobs}
    used = collections.Counter()
    rows = drill.cluster.slurm("sacct", "-X", "-a", "-n", "-P", "-D", "-S", "1970-01-02",
                               "-o", "JobName,Start,End")
    for name, start, end in (row.split("|") for row in rows.splitlines()):
        job = name.removeprefix("kezek-").rpartition("-")[0]
        if job not in project_of or not start.isdigit() or not end.isdigit():
            continue
        project = project_of[job]
        for account in (project, project.rpartition("/")[0]):
            used[account] += int(end) - int(start)
    for account, seconds in used.items():
        if seconds > drill.granted_s[account]:
            yield f"{account}: Slurm ran {seconds} GPU-s, granted were {drill.granted_s[account]}"
    if not used:
        yield "Slurm has run nothing of it"


def judge_jobs(submitters, jobs):
    states = {job["job"]: job["state"].removeprefix("JOB_STATE_").lower() for job in jobs}
    for name in submitters.acknowledged:
        if name not in states:
            yield f"job {name} was acknowledged and is lost"
    for name, state in states.items():
        if state not in ("succeeded", "queued"):
            yield f"job {name} is {state}"
    for job in jobs:
        code = job.get("reason", {}).get("code", "")
        if states[job["job"]] == "queued" and code not in WAITS:
            yield f"job {job['job']} waits: {code}"
    if "queued" not in states.values():
        yield "no budget was used up: the drill shows nothing"


def settle(drill, submitters, jobs):
    problems = list(submitters.wrong)
    try:
        drill.cluster.until("that nothing fits any more", drill.nothing_fits, 240 + jobs)
    except AssertionError as problem:
        problems.append(str(problem))
    time.sleep(2)  # the next tick gives those that came last their reasons
    shown = kill.all_jobs(drill.cluster, "daulet")
    problems += list(judge_jobs(submitters, shown))
    problems += list(judge_ledger(drill))
    problems += list(judge_shown(drill))
    for waiting in range(0, len(shown), 200):
        names = [job["job"] for job in shown[waiting:waiting + 200]]
        drill.cluster.kezek("daulet", "cancel", *names)
    return problems + list(judge_slurm(drill, shown)), collections.Counter(
        job["state"].removeprefix("JOB_STATE_").lower() for job in shown)


def run(cluster, options):
    """The exit status."""
    rng = random.Random(options.seed)
    drill = Drill(cluster, options.budgets, rng)
    drill.make()
    choices = random.Random(options.seed + 1)
    submitters = kill.Submitters(
        cluster, options.jobs,
        lambda: ["--project", choices.choice(drill.projects), "--gpus", "1", "--time", "1m",
                 "--output", "/dev/null", "--", "sleep", "2"], options.clients)
    start = time.monotonic()
    submitters.start()
    try:
        disturb(cluster, submitters, options, rng)
    except BaseException:
        submitters.wrong.append("it was not killed and started again as planned")
        raise
    finally:
        submitters.join()
    problems, states = settle(drill, submitters, options.jobs)
    entries = drill.cluster.sql("select count(*) from ledger where book = 'budget'")[0][0]
    print(f"{len(submitters.acknowledged)} acknowledged by {options.clients} clients, "
          f"{submitters.unanswered} without an answer, {options.kills} kills, {options.restarts} "
          f"restarts of PostgreSQL, {len(drill.granted_s)} budgets, {entries} entries, "
          f"{dict(states)}, all over after {time.monotonic() - start:.0f} s, "
          f"{len(problems)} problems")
    for problem in problems[:30]:
        print(f"  {problem}")
    if problems:
        print(f"again: tests/e2e/run budgets --kills {options.kills} --restarts "
              f"{options.restarts} --jobs {options.jobs} --budgets {options.budgets} "
              f"--clients {options.clients} --seed {options.seed}")
        print(cluster.tail_of_log())
        return 1
    print(cluster.demo("check"), end="")
    return 0
