"""The faults. Each is a generator that does harm, yields how many seconds until it goes on, and has
mended all at its end; it returns False where nothing came of it. `needs` are the parts that no
other fault may touch meanwhile."""

import os
import signal
import subprocess
import time

import proxy

FAULTS = {}
OTHER_NAME = "kezek-9999999-1"  # like one of Kezek's, of a job that there is not
OWN_RELEASE = "22.05"
CONTROL = {"slurmctld", "slurmdbd", "slurmrestd", "munged", "nodes"}


def fault(name, *needs):
    def register(function):
        FAULTS[name] = (frozenset(needs), function)
        return function
    return register


def network(trouble):
    def injury(stack, rng, _):
        before = sum(stack.proxy.suffered.values())
        stack.proxy.set(trouble, rng.choice((0.3, 0.6, 1.0)))
        yield rng.uniform(5, 20)
        stack.proxy.set()
        return sum(stack.proxy.suffered.values()) > before
    return injury


for each in proxy.TROUBLES:
    FAULTS[each] = (frozenset({"proxy"}), network(each))


@fault("slurmctld-killed", "slurmctld", "slurmdbd")  # it may not start without its database
def slurmctld_killed(stack, rng, _):
    stack.kill("slurmctld")
    yield rng.uniform(0.2, 8)
    stack.start_slurmctld()


@fault("slurmctld-frozen", "slurmctld")
def slurmctld_frozen(stack, rng, _):
    yield from frozen(stack, "slurmctld", rng.uniform(4, 25))


@fault("slurmrestd-frozen", "slurmrestd")
def slurmrestd_frozen(stack, rng, _):
    yield from frozen(stack, "slurmrestd", rng.uniform(3, 15))


def frozen(stack, part, seconds):
    pid = stack.pid(part)
    os.kill(pid, signal.SIGSTOP)
    yield seconds
    os.kill(pid, signal.SIGCONT)


@fault("slurmctld-fails-over", "slurmctld", "slurmdbd", "munged")
def slurmctld_fails_over(stack, rng, _):
    """Its host is gone; the backup takes over, and gives back later."""
    before = stack.takeovers()
    with stack.backup_slurmctld():
        yield 2
        stack.kill("slurmctld")
        yield rng.uniform(6, 20)  # after SlurmctldTimeout it leads
        stack.part("start", "slurmctld")
        yield 3
    return stack.takeovers() > before


def impossible():
    """{kind: why it cannot happen on this machine}"""
    if os.environ.get("KEZEK_SLURM_RELEASE", OWN_RELEASE) != OWN_RELEASE:
        return {"slurmctld-fails-over": "a backup is of this machine's own release alone"}
    done = subprocess.run(["unshare", "--uts", "--mount", "true"], check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return {"slurmctld-fails-over": "a backup needs a host name of its own: "
                                        + done.stderr.strip()}
    return {}


@fault("slurmctld-cold", "slurmctld", "slurmdbd", "nodes", "proxy")
def slurmctld_cold(stack, rng, _):
    """Without the state it has: it begins as on its first day, and keeps on counting ids."""
    stack.kill("slurmctld")
    yield rng.uniform(0.2, 4)
    stack.start_slurmctld("-c")
    stack.until("slurmctld", lambda: stack.command("scontrol", "ping"), 60)
    stack.state_lost()


@fault("slurmctld-wiped", "slurmctld", "slurmdbd", "nodes", "proxy")
def slurmctld_wiped(stack, rng, _):
    """Its folder is lost: it gives the ids from 1 on again."""
    stack.kill("slurmctld")
    yield rng.uniform(0.2, 4)
    folder = stack.path("slurm/state")
    for name in os.listdir(folder):
        subprocess.run(["rm", "-rf", os.path.join(folder, name)], check=True)
    stack.start_slurmctld()
    stack.state_lost()


@fault("slurmrestd-killed", "slurmrestd")
def slurmrestd_killed(stack, rng, _):
    stack.kill("slurmrestd")
    yield rng.uniform(0.2, 8)
    stack.part("start", "slurmrestd")


@fault("slurmdbd-away", "slurmdbd")
def slurmdbd_away(stack, rng, longest):
    stack.kill("slurmdbd")
    yield rng.uniform(longest / 3, longest)
    stack.part("start", "slurmdbd")


@fault("mariadb-away", "slurmdbd")
def mariadb_away(stack, rng, longest):
    """slurmdbd is there, but its database is not."""
    stack.part("stop", "mariadb")  # not by force: what it has not flushed would be lost
    yield rng.uniform(longest / 8, longest / 3)
    stack.part("start", "mariadb")


@fault("key-rotated", "slurmctld", "slurmdbd", "slurmrestd", "token", "munged")
def key_rotated(stack, rng, _):
    """Slurm has another key from now on; kezekd gets it later."""
    key = os.urandom(32)
    path = stack.path("slurm/etc/jwt_hs256.key")
    with open(path, "r+b") as file:
        file.write(key)
    for part in ("slurmrestd", "slurmdbd", "slurmctld"):
        stack.part("stop", part)
    for part in ("slurmdbd", "slurmctld", "slurmrestd"):
        stack.part("start", part)
    yield rng.uniform(1, 15)
    stack.write_secret(stack.path("kezek/jwt_hs256.key"), key)
    stack.write_token(86400)


@fault("token-expired", "token", "kezekd", "postgres")
def token_expired(stack, rng, _):
    """Nobody renews the token in kezekd's file until some time after its end."""
    stack.write_token(86400)
    if stack.tokens != "file":
        stack.stop_kezekd()
        stack.kezekd_conf("file")
        stack.start_leader()
        yield rng.uniform(1, 5)
    stack.write_token(-60)
    yield rng.uniform(5, 30)
    stack.write_token(86400)


@fault("munged-stopped", *CONTROL)
def munged_stopped(stack, rng, _):
    stack.kill("munged")
    yield rng.uniform(2, 40)
    stack.part("start", "munged")
    stack.until("slurmctld", lambda: stack.command("scontrol", "ping"), 60)


@fault("postgres-restarted", "postgres", "kezekd")
def postgres_restarted(stack, rng, _):
    os.kill(stack.pid("postgres"), signal.SIGQUIT)  # at once, as after a crash
    stack.until("the end of PostgreSQL", lambda: not stack.pid("postgres"), 30)
    yield rng.uniform(0.2, 10)
    stack.start_postgres()


@fault("kezekd-killed", "kezekd", "postgres", "token")
def kezekd_killed(stack, rng, _):
    stack.kill("kezekd")
    yield rng.uniform(0, 8)
    if rng.random() < 0.3:  # the other way to sign in to Slurm
        stack.write_token(86400)
        stack.kezekd_conf("key" if stack.tokens == "file" else "file")
    stack.start_leader()


@fault("kezekd-frozen", "kezekd", "postgres")
def kezekd_frozen(stack, rng, _):
    yield from frozen(stack, "kezekd", rng.uniform(3, 20))


@fault("leader-changes", "kezekd", "postgres", "token")
def leader_changes(stack, rng, _):
    """A second kezekd stands by, takes over, and is killed when the first stands by."""
    with stack.second() as second:
        yield 3
        stack.kill("kezekd")
        yield rng.uniform(4, 12)
        stack.start_leader()  # answers by the leader's words until it leads itself
        yield rng.uniform(2, 6)
        second.kill()
        stack.until("a leader", stack.answers, 60)


@fault("node-dies", "nodes", "munged")
def node_dies(stack, rng, _):
    """Its slurmd and all that runs there; back after Slurm has found it down, or before."""
    node = rng.choice(stack.node_names())
    stack.kill(node)
    stack.kill_processes(node)
    stack.died.append((node, time.time()))
    yield rng.choice((rng.uniform(1, 10), rng.uniform(30, 60)))
    stack.part("start", node)


@fault("slurmd-killed", "nodes", "munged")
def slurmd_killed(stack, rng, _):
    """Its jobs live on, and it is back before Slurm takes the node for dead."""
    node = rng.choice(stack.node_names())
    stack.kill(node)
    yield rng.uniform(0.2, 8)
    stack.part("start", node)


def behind(name, states, command, most=4):
    """What an admin does to Slurm's jobs of Kezek for some seconds."""
    def injury(stack, rng, _):
        done = 0
        for _ in range(60):
            jobs = [job for job in stack.slurm_jobs() if job[1] in states]
            rng.shuffle(jobs)
            for job in jobs[:2]:
                words = command(rng, job[0])
                stack.touched.setdefault(job[2], set()).add(name)
                if stack.command(*words):
                    done += 1
            if done >= most:
                break
            yield 0.2
        return done > 0
    FAULTS[name] = (frozenset({"slurmctld", "munged"}), injury)


def update(*settings):
    return lambda rng, job: ["scontrol", "update", f"JobId={job}", rng.choice(settings)]


behind("scancel", ("PENDING", "RUNNING"), lambda rng, job: ["scancel", job])
behind("scontrol-requeue", ("RUNNING",), lambda rng, job: ["scontrol", "requeue", job])
behind("scontrol-hold", ("PENDING", "RUNNING"), lambda rng, job: ["scontrol", rng.choice(
    ("hold", "uhold")), job], 6)
behind("limit-changed", ("PENDING", "RUNNING"), update("TimeLimit=1", "TimeLimit=60"), 6)
behind("renamed", ("PENDING", "RUNNING"), update("JobName=mine", f"JobName={OTHER_NAME}"), 6)
behind("comment-changed", ("PENDING", "RUNNING"), update("Comment=mine"), 6)
