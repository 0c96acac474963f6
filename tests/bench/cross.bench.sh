# a real trace scaled to minutes, by sbatch, by kezek and in kezek-sim: waits beside each other
# shellcheck shell=bash disable=SC2154
set -euo pipefail
# shellcheck source=tests/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

trace=alcf_thetagpu jobs=300 nodes=24 minutes=25 load=1.0 reserve=0 first='' out=''

usage() {
  cat <<'TEXT'
usage: tests/bench/run cross [--trace alcf_thetagpu] [--jobs 300] [--nodes 24] [--minutes 25]
                             [--load 1.0] [--first N] [--reserve 0] [--out DIR] [--json]
                             [--quick] [--no-build]
The same jobs of a trace (KEZEK_TRACES, ../shared/traces) on two private clusters of --nodes nodes
of 8 simulated GPUs at the same time: by sbatch on a Slurm with the multifactor plugin (fair tree,
age, size) and backfill, and by kezek. Then in kezek-sim by both rules. They come for --minutes, and
it ends at the latest twice as long after; --jobs in a row of the trace, --first names the first of
them, else it is the part with the most wide jobs. --reserve is
Kezek's scheduling.reserve_after in seconds, of kezekd and in the simulator. --out keeps the list
and the raw lines.
TEXT
}

# Slurm's own rules at their quickest: the simulator is told the same ones. A calculation each
# minute is the most that Slurm can; its usual 5 minutes would be hours at this scale.
beside=("PriorityType=priority/multifactor" "PriorityWeightFairshare=10000" "PriorityWeightAge=1000"
  "PriorityWeightJobSize=1000" "PriorityFavorSmall=NO" "PriorityMaxAge=7-0"
  "PriorityDecayHalfLife=7-0" "PriorityCalcPeriod=1")

before_down() {
  local i
  "$deploy/kezekd" down "$DIR" || true
  # What still runs after a failure is ended by Slurm, so that no process of it stays.
  timeout 20 scancel --quiet --user="$job_user" || true
  for ((i = 0; i < 60; i++)); do
    [ -n "$(timeout 5 squeue -h -t R,CG,S -o %i)" ] || break
    sleep 0.5
  done
  if [ -d "$DIR/b" ]; then "$deploy/slurm" down "$DIR/b" --wipe; fi
}

# The second Slurm, in a folder of its own; one account for each group of the trace.
beside_up() {
  local line options=() group
  for line in "${beside[@]}"; do options+=(--conf "$line"); done
  mkdir -p "$DIR/b"
  "$deploy/slurm" up "$DIR/b" --nodes "$nodes" --leaves 1 "${options[@]}" >&2
  for group in "${groups[@]}"; do "$deploy/slurm" account "$DIR/b" "$group" >&2; done
  "$deploy/slurm" user "$DIR/b" "$job_user" "${groups[@]}" >&2
}

# The list, each run so many seconds longer: what a start and an end really take of the GPUs, and
# how far a second more or less moves everything.
make_list() { # LAUNCH FILE
  python3 "$here/cross_jobs.py" "$path" --jobs "$jobs" --nodes "$nodes" --gpus 8 \
    --minutes "$minutes" --load "$load" --launch "$1" ${first:+--first "$first"} >"$2"
}

# drive WAY SLURM_CONF: in the background; the raw lines to WAY.jsonl.
drive() {
  SLURM_CONF=$2 as_job_user env "CROSS_PARENT=$parent" PYTHONDONTWRITEBYTECODE=1 python3 \
    "$DIR/stamps/drive.py" "$1" "$DIR/jobs.csv" "$DIR/stamps" "$begin" \
    --most "$((minutes * 180))" >"$DIR/$1.jsonl"
}

simulate() {
  local launch policy
  for launch in 0 1 2 3 4; do
    make_list $launch "$DIR/jobs.$launch.csv" 2>/dev/null
    for policy in fifo easy multifactor kezek; do
      "$bin/kezek-sim" replay --trace "$DIR/jobs.$launch.csv" --capacity $((nodes * 8)) \
        --gpus-per-node 8 --estimates user --calc-period 60 --reservations 8 \
        --reserve-after "$reserve" --policy $policy \
        --jobs-csv "$DIR/sim.$policy.$launch.csv" >/dev/null 2>&1
    done
  done
}

facts() {
  local text
  text=$(machine_facts)
  python3 - "$text" "$SLURM_BESIDE" <<'PYTHON'
import json, os, subprocess, sys
facts = json.loads(sys.argv[1])
env = dict(os.environ, SLURM_CONF=sys.argv[2])
lines = subprocess.run(["scontrol", "show", "config"], env=env, text=True, check=True,
                       stdout=subprocess.PIPE).stdout.splitlines()
wanted = ("SchedulerParameters", "SchedulerType", "Priority")
facts["slurm_conf"] = [" ".join(line.split()) for line in lines if line.startswith(wanted)]
print(json.dumps(facts))
PYTHON
}

main() {
  read_options trace jobs nodes minutes load first reserve out -- "$@"
  if [ "$quick" = yes ]; then jobs=50 minutes=3 load=1.5; fi
  path=$trace
  [ -r "$path" ] || path=${KEZEK_TRACES:-$root/../shared/traces}/$trace.csv.gz
  if [ ! -r "$path" ]; then
    note "skipped: there is no $path (KEZEK_TRACES names the folder of the traces)"
    exit 77
  fi
  build_programs kezekd kezek kezek-sim
  kezekd_conf=(--conf "scheduling: {reserve_after: ${reserve}s}")
  stack_up "$nodes"
  parent=${project%/*} # cross_drive.py's
  make_list 0 "$DIR/jobs.csv"
  mapfile -t groups < <(tail -n +2 "$DIR/jobs.csv" | cut -d, -f6 | sort -u)
  beside_up
  make_projects "${groups[@]}" >&2
  SLURM_BESIDE=$DIR/b/slurm/etc/slurm.conf
  local text form=table kezek_way failed=no
  text=$(facts)
  install -m 644 "$here/cross_drive.py" "$DIR/stamps/drive.py"  # where the job's user may read
  begin=$(($(date +%s) + 3))
  note "$jobs jobs of $trace by sbatch and by kezek, for $minutes minutes and what is left then"
  drive kezek "$SLURM_CONF" &
  kezek_way=$!
  drive sbatch "$SLURM_BESIDE" || failed=yes
  wait "$kezek_way" || failed=yes
  [ $failed = no ] || fail "not all jobs ended"
  note "load of the machine at the end: $(cut -d' ' -f1-3 /proc/loadavg)"
  simulate
  if [ -n "$out" ]; then mkdir -p "$out" && cp "$DIR"/*.jsonl "$DIR"/*.csv "$out"; fi
  if [ "$json" = yes ]; then form=json; fi
  cat "$DIR/sbatch.jsonl" "$DIR/kezek.jsonl" |
    python3 "$here/cross_figures.py" "$form" "$text" "$DIR" $((nodes * 8))
}

main "$@"
