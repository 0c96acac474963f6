# a day's mix in ten minutes through kezekd and 1,250 real slurmds: judged, and what it costs
# shellcheck shell=bash disable=SC2154
set -euo pipefail
# shellcheck source=tests/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"
# shellcheck source=tests/bench/seen.sh
. "$here/seen.sh"

nodes=1250 minutes=10 load=0.9 seed=2 mix=philly=1,alibaba_lingjun2023=6 out=''

usage() {
  cat <<'TEXT'
usage: tests/bench/run day [--nodes 1250] [--minutes 10] [--load 0.9] [--seed 2]
                           [--mix philly=1,alibaba_lingjun2023=6] [--out DIR] [--json] [--quick]
                           [--no-build] [--dir DIR]
A Slurm with --nodes real slurmds of 8 simulated GPUs, slurmdbd, slurmrestd, PostgreSQL and
kezekd. So many days of each trace of --mix (KEZEK_TRACES, ../shared/traces), drawn by --seed and
laid over each other, scaled to --minutes: gangs of several nodes among them, one `srun` in each.
Runs are scaled besides, so that they come to --load. Each is submitted to kezekd at its moment.
When all are over, judged: every job has succeeded, none ran twice, no GPU of a node was two jobs'
at a time (by the jobs' own files and by slurmdbd), each is charged what slurmdbd has, and `kezek
report reconcile` finds no difference; else this fails. --out keeps the raw lines. 1,250 nodes
take 6 GB and some minutes to start; it ends at the latest three times as long as --minutes after.
TEXT
}

before_down() { end_jobs; }

drive() { PYTHONDONTWRITEBYTECODE=1 python3 "$here/day_drive.py" "$@"; }

# The largest resident set of each so far.
memory() {
  local name file pairs=()
  for name in kezekd slurmctld slurmrestd slurmdbd; do
    file=$DIR/slurm/run/$name.pid
    if [ $name = kezekd ]; then file=$DIR/kezek/kezekd.pid; fi
    pairs+=("\"$name\": $(awk '/^VmHWM/ {print int($2 / 1024)}' "/proc/$(cat "$file")/status")")
  done
  local IFS=,
  echo "{\"what\": \"memory\", \"peak_mib\": {${pairs[*]}}}"
}

readings() {
  counters
  metrics | drive ticks
}

# Of attempts that ended up to a minute ago.
reconcile() {
  local found status=0
  sleep 65
  found=$(as_admin report reconcile -o json) || status=$?
  python3 -c '
import json, sys
found = json.loads(sys.argv[1])
print(json.dumps({"what": "reconcile", "status": int(sys.argv[2]),
                  "differences": len(found.get("rows", [])), "totals": found.get("totals", []),
                  "rows": found.get("rows", [])[:20]}))' "$found" $status
}

check_traces() {
  local part
  traces=${KEZEK_TRACES:-$root/../shared/traces}
  for part in ${mix//,/ }; do
    if [ ! -r "$traces/${part%%=*}.csv.gz" ]; then
      note "skipped: there is no ${part%%=*} in $traces (KEZEK_TRACES names the folder)"
      exit 77
    fi
  done
}

main() {
  read_options nodes minutes load seed mix out -- "$@"
  if [ "$quick" = yes ]; then nodes=16 minutes=1 mix=alibaba_lingjun2023=1; fi
  check_traces
  build_programs kezekd kezek start_client
  slurm_options=(--leaves $(((nodes + 31) / 32)) --min-job-age 30)
  stack_up "$nodes"
  local text form=table groups
  text=$(machine_facts)
  PYTHONDONTWRITEBYTECODE=1 python3 "$here/day_jobs.py" "$traces" --mix "$mix" --seed "$seed" \
    --nodes "$nodes" --gpus 8 --minutes "$minutes" --load "$load" >"$DIR/jobs.csv"
  mapfile -t groups < <(tail -n +2 "$DIR/jobs.csv" | cut -d, -f6 | sort -u)
  make_projects "${groups[@]}" >&2
  readings >"$DIR/raw.jsonl"
  KEZEK_TOKEN=$token drive run "$DIR/stamps" --jobs "$DIR/jobs.csv" --client "$bin/start_client" \
    --parent "${project%/*}" --most $((minutes * 180)) >"$DIR/jobs.jsonl"
  readings >>"$DIR/raw.jsonl"
  note "load of the machine at the end: $(cut -d' ' -f1-3 /proc/loadavg)"
  memory >>"$DIR/raw.jsonl"
  cat "$DIR/jobs.jsonl" >>"$DIR/raw.jsonl"
  committed >>"$DIR/raw.jsonl"
  seen heard <"$DIR/log/slurmctld.log" >>"$DIR/raw.jsonl"
  drive judge "$DIR/stamps" <"$DIR/jobs.jsonl" >>"$DIR/raw.jsonl"
  reconcile >>"$DIR/raw.jsonl"
  if [ -n "$out" ]; then mkdir -p "$out" && cp "$DIR"/*.jsonl "$DIR"/jobs.csv "$out"; fi
  if [ "$json" = yes ]; then form=json; fi
  python3 "$here/day_figures.py" "$form" "$text" $((nodes * 8)) "$minutes" <"$DIR/raw.jsonl"
  # Figures first: what is wrong is among them.
  all_well || fail "the judges found something: see above"
}

all_well() {
  python3 -c '
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
wrong = sum(sum(row["problems"].values()) for row in rows if row["what"] == "judges")
wrong += sum(row["status"] != 0 for row in rows if row["what"] == "reconcile")
sys.exit(wrong != 0)' "$DIR/raw.jsonl"
}

main "$@"
