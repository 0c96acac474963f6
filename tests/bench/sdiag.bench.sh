# cycles of a real slurmctld (sdiag) beside ticks of the engine, with as many nodes and waiting jobs
# shellcheck shell=bash disable=SC2154
set -euo pipefail
# shellcheck source=tests/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

nodes=1250 jobs=5000 seconds=120

# Both schedulers come to every job, however long it takes.
all_jobs=bf_continue,bf_interval=5,bf_max_time=600,bf_max_job_test=100000
all_jobs+=,default_queue_depth=100000,sched_interval=5

usage() {
  cat <<'TEXT'
usage: tests/bench/run sdiag [--nodes 1250] [--jobs 5000] [--seconds 120] [--json] [--quick]
                             [--no-build] [--dir DIR]
A private slurmctld with slurmdbd, multifactor priority and backfill, and one real slurmd for each
of --nodes nodes of 8 simulated GPUs. Jobs of four whole nodes fill it, some ending all the time;
--jobs (at most 49,000) of one GPU to 32 nodes wait. For --seconds each with three
SchedulerParameters: its cycles as sdiag counts them. Then tick_bench with as many nodes and jobs.
1,250 nodes take 5.5 GB.
TEXT
}

slurm_down() {
  local status=$? i
  trap - EXIT INT TERM
  {
    # Nothing starts any more, and what runs is ended by Slurm: no process stays behind.
    timeout 30 scontrol update PartitionName=gpu State=DOWN || true
    timeout 60 scancel --quiet --state=RUNNING --user="$job_user" || true
    for ((i = 0; i < 60; i++)); do
      [ "$(timeout 20 squeue -h -t R,CG | wc -l)" != 0 ] || break
      sleep 1
    done
    "$deploy/slurm" stop "$DIR" slurmctld || true
    "$deploy/slurm" down "$DIR" --wipe || status=1
    if [ $made_user = yes ]; then userdel "$job_user" || true; fi
  } >&2
  if [ $status = 0 ]; then rm -rf "$DIR"; else note "failed; logs in $DIR/log"; fi
  exit $status
}

slurm_up() {
  [ "$(id -u)" = 0 ] || fail "needs root: Slurm's daemons start as root"
  DIR=${DIR:-$(mktemp -d "${TMPDIR:-/var/tmp}/kezek-bench.XXXXXX")}
  mkdir -p "$DIR"
  DIR=$(cd "$DIR" && pwd -P)
  chmod 755 "$DIR"
  trap slurm_down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  note "starting Slurm with $nodes nodes in $DIR"
  "$deploy/slurm" up "$DIR" --nodes "$nodes" --cpus 64 --leaves $(((nodes + 31) / 32)) \
    --conf PriorityType=priority/multifactor --conf PriorityWeightFairshare=10000 \
    --conf PriorityWeightAge=1000 --conf PriorityWeightJobSize=1000 >&2
  # shellcheck disable=SC1091
  . "$DIR/env"
  if ! getent passwd "$job_user" >/dev/null; then
    useradd --no-create-home --home-dir / --shell /usr/sbin/nologin \
      --comment 'made by the benchmarks of kezek' "$job_user"
    made_user=yes
  fi
  local group
  for group in a b c d e f g h; do "$deploy/slurm" account "$DIR" "bench-$group" >&2; done
  "$deploy/slurm" user "$DIR" "$job_user" bench-{a,b,c,d,e,f,g,h} >&2
}

# parameters TEXT: Slurm's SchedulerParameters from now on.
parameters() {
  local conf=$DIR/slurm/etc/kezek.conf
  sed -i '/^SchedulerParameters=/d' "$conf"
  if [ -n "$1" ]; then echo "SchedulerParameters=$1" >>"$conf"; fi
  scontrol reconfigure || true # with many jobs it answers too late, and does it all the same
}

drive() { PYTHONDONTWRITEBYTECODE=1 python3 "$here/sdiag_drive.py" "$@"; }

measure() { # NAME PARAMETERS
  note "sdiag for $seconds s, $1"
  parameters "$2"
  drive watch --name "$1" --parameters "$2" --seconds "$seconds" \
    --pid "$(cat "$DIR/slurm/run/slurmctld.pid")"
}

ticks() {
  local promises
  for promises in 0 8; do
    note "tick_bench, $promises promises"
    "$bin/tick_bench" --nodes "$nodes" --jobs "$jobs" --promises $promises --seconds 5 --seed 1 |
      sed "s/^{/{\"what\": \"tick\", \"load\": $(cut -d' ' -f1 /proc/loadavg), /" ||
      note "tick_bench stopped with $promises promises: no figures of it"
  done
}

main() {
  read_options nodes jobs seconds -- "$@"
  if [ "$quick" = yes ]; then nodes=64 jobs=1000 seconds=35; fi
  [ "$jobs" -le 49000 ] || fail "--jobs: this Slurm takes 50,000 in all"
  build_programs tick_bench
  slurm_up
  local text form=table
  text=$(machine_facts)
  # Nothing but the fill is to start before all are there.
  parameters defer,sched_interval=2,bf_interval=600
  drive submit --nodes "$nodes" --jobs "$jobs" \
    --token "$("$deploy/slurm" token "$DIR" "$job_user" 7200)" --user "$job_user"
  {
    measure "Slurm's defaults" ''
    measure "kezek.conf" "$(sed -n 's/^SchedulerParameters=//p' "$root/deploy/slurm/kezek.conf")"
    measure "all jobs" "$all_jobs"
    ticks
  } >"$DIR/raw.jsonl"
  if [ "$json" = yes ]; then form=json; fi
  python3 "$here/sdiag_figures.py" "$form" "$text" <"$DIR/raw.jsonl"
}

main "$@"
