"""The jobs of the drill: what each run leaves in files, and the clients that submit and cancel.

A run creates JOB.ATTEMPT.begin, which must not exist yet, and looks whether a run of an earlier
attempt of its job is still alive; at its end it writes JOB.ATTEMPT.end. All its files bear a nonce
that it has drawn, and the first also the one that its job's client gave."""

import os
import random
import threading
import time

USERS = ("daulet", "aizhan", "timur")
CLIENTS = 4
UNREACHABLE = 6  # kezek's exit status; whether it was taken is not known
SCRIPT = r"""#!/bin/bash
#SBATCH --output=/dev/null
#SBATCH --job-name=drill
set -C
seconds=$1 code=$2 width=$3 asked=$4 nonce=$SRANDOM$SRANDOM
base={folder}/$KEZEK_JOB_ID
run=$base.$KEZEK_ATTEMPT
ours="$SLURM_JOB_ID $SLURMD_NODENAME ${{CUDA_VISIBLE_DEVICES:--}}"
born() {{ # PID: when it began; fails where it is gone
  local text
  {{ read -r text <"/proc/$1/stat"; }} 2>/dev/null || return 1
  set -- ${{text##*) }}
  [ "$1" != Z ] || return 1
  begun=${{20}}
}}
born $$
if ! {{ echo "$ours $$ $begun $EPOCHREALTIME $nonce $asked" >"$run.begin"; }} 2>/dev/null; then
  echo "$ours $$ $begun $EPOCHREALTIME" >"$run.twice.$$.$RANDOM"
  exit 99
fi
for ((n = 1; n < KEZEK_ATTEMPT; n++)); do
  {{ read -r _ _ _ pid then _ <"$base.$n.begin"; }} 2>/dev/null || continue
  if born "$pid" && [ "$begun" = "$then" ]; then echo "$n $pid" >"$run.beside.$n"; fi
done
how=ended
trap 'echo "$EPOCHREALTIME $how $nonce" >"$run.end"' EXIT
if [ "$width" -gt 1 ]; then
  export run nonce
  srun --quiet bash -c 'set -C
    echo "$SLURM_JOB_ID $SLURMD_NODENAME ${{CUDA_VISIBLE_DEVICES:--}} $EPOCHREALTIME $nonce" \
      >"$run.node.$SLURM_PROCID"' 2>/dev/null
fi
sleep "$seconds"
how=done
exit "$code"
"""


def workplace(folder):
    """(the script, the folder that its runs write to)"""
    runs = os.path.join(folder, "runs")
    os.makedirs(runs, exist_ok=True)
    os.chmod(runs, 0o777)
    script = os.path.join(folder, "drill.sh")
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(folder=runs))
    os.chmod(script, 0o755)
    return script, runs


def length(rng):
    """Seconds of a run: the median is 1; one in twelve is there when something longer happens."""
    if rng.random() < 1 / 12:
        return rng.uniform(8, 30)
    return rng.choice((0.2, 0.5, 1, 1, 1.5, 2, 3))


def plan(jobs, seed, nodes):
    """What is submitted, in order, array elements counting as jobs: dictionaries of what is
    asked."""
    rng, nonces = random.Random(seed), random.Random(f"nonces {seed}")
    wanted = []
    left = jobs
    while left > 0:
        one = {"user": rng.choice(USERS), "seconds": round(length(rng), 1), "code": 0, "width": 1,
               "elements": 0, "gpus": rng.choice((1, 1, 1, 2, 4)), "cancel_after": None,
               "requeue": rng.random() < 0.7, "nonce": f"{nonces.getrandbits(60):015x}"}
        kind = rng.random()
        if kind < 0.1:
            one["width"] = rng.randint(2, min(3, nodes))
        elif kind < 0.2:
            one["elements"] = min(left, rng.randint(2, 8))
        if rng.random() < 0.04:
            one["code"] = 3
        if rng.random() < 0.04:
            one["cancel_after"] = rng.choice((0, 0.3, 1, 2, 5))
        left -= one["elements"] or 1
        wanted.append(one)
    return wanted


def words_of(one, script):
    """The command line of a submission."""
    words = ["submit", "-o", "name", "--time", "2m"]
    if one["width"] > 1:
        words += ["--nodes", str(one["width"]), "--gpus-per-node", str(one["gpus"])]
    else:
        words += ["--gpus", str(one["gpus"])]
    if one["elements"]:
        words += ["--array", f"0-{one['elements'] - 1}"]
    if one["requeue"]:
        words += ["--max-attempts", "2"]
    else:
        words.append("--no-requeue")
    return words + [script, str(one["seconds"]), str(one["code"]), str(one["width"]), one["nonce"]]


class Clients:
    """Threads that submit what is planned, spread over so many seconds, and cancel some of it."""

    def __init__(self, stack, planned, seconds, script):
        self.stack, self.planned, self.script = stack, planned, script
        self.pause_s = seconds / max(1, len(planned))
        self.lock = threading.Lock()
        self.next = 0
        self.begun = time.monotonic()
        self.stop = threading.Event()
        self.acknowledged, self.cancelled, self.wrong = {}, set(), []
        self.unanswered = 0
        self.forgotten, self.forgot_at = 0, 0.0  # of a lost history
        self.threads = [threading.Thread(target=self.work) for _ in range(CLIENTS)]

    def start(self):
        self.begun = time.monotonic()
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()

    def take(self):
        """The next one, once it is due; None at the end."""
        with self.lock:
            number = self.next
            self.next += 1
        if number >= len(self.planned):
            return None
        wait = self.begun + number * self.pause_s - time.monotonic()
        if wait > 0 and self.stop.wait(wait):
            return None
        return self.planned[number]

    def work(self):
        try:
            while not self.stop.is_set():
                one = self.take()
                if one is None:
                    return
                self.submit(one)
        except BaseException as problem:
            self.wrong.append(f"a client: {problem!r}")
            raise

    def submit(self, one):
        while not self.stop.is_set():
            status, output, errors = self.stack.kezek(one["user"], *words_of(one, self.script),
                                                      timeout=300)
            if status == 0:
                break
            if status != UNREACHABLE:
                self.wrong.append(f"submit: status {status}: {errors}")
                return
            self.unanswered += 1
            time.sleep(0.3)
        else:
            return
        name = output.strip()
        with self.lock:
            self.acknowledged[name] = one
            one["at"] = time.time()
        if one["cancel_after"] is not None:
            self.stop.wait(one["cancel_after"])
            self.cancel(one, name)

    def forget(self, known, since):
        """What was acknowledged since then and is not known any more was lost with the history."""
        with self.lock:
            self.forgot_at = time.time()
            for name in [name for name, one in self.acknowledged.items()
                         if one["at"] >= since and name not in known]:
                del self.acknowledged[name]
                self.forgotten += 1

    def cancel(self, one, name):
        while not self.stop.is_set():
            # Before it is known whether it is taken: what ends by it must not surprise.
            self.cancelled.add(name)
            status, _, errors = self.stack.kezek(one["user"], "cancel", name, timeout=300)
            if status == UNREACHABLE:
                time.sleep(0.3)
                continue
            lost = one["at"] < self.forgot_at
            if status != 0 and "has ended" not in errors and not lost:
                self.wrong.append(f"cancel {name}: status {status}: {errors}")
            return
