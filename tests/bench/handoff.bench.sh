# short jobs started per second, and controllers' processor time for each, beside sbatch
# shellcheck shell=bash disable=SC2154
set -euo pipefail
# shellcheck source=tests/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

nodes=64 jobs=2000 run=1 rounds=1 ways='sbatch kezek sbatch-array kezek-array'

usage() {
  cat <<'TEXT'
usage: tests/bench/run handoff [--nodes 64] [--jobs 2000] [--run 1] [--rounds 1]
                               [--ways 'sbatch kezek sbatch-array kezek-array'] [--json] [--quick]
                               [--no-build] [--dir DIR]
A Slurm with --nodes real slurmds of 8 simulated GPUs. --jobs jobs of one GPU, each of which
sleeps for --run seconds, in turns: each by an sbatch of its own (8 shells at once); each by a
Submit to kezekd (8 clients at once); as one array by sbatch; as one array by `kezek submit`.
Counted from the first submission to the last script's first line, submission and all. Processor
time of slurmctld, slurmrestd, slurmdbd, kezekd and PostgreSQL until all is over and known to be,
of sbatch and of kezek itself not; and what kezekd asked slurmrestd until then. A way that takes
more than ten minutes fails.
TEXT
}

before_down() { end_jobs; }

submit() { # WAY SCRIPT
  local each=(-A bench -N 1 --gres=gpu:h200:1 -t 60 -D /tmp -o /dev/null)
  case $1 in
    sbatch)
      # shellcheck disable=SC2016
      as_job_user bash -c 'seq "$1" | xargs -P 8 -I{} "${@:2}"' bash "$jobs" \
        sbatch --parsable "${each[@]}" "$2" >/dev/null
      ;;
    sbatch-array)
      as_job_user sbatch --parsable --array="0-$((jobs - 1))" "${each[@]}" "$2" >/dev/null
      ;;
    kezek)
      # shellcheck disable=SC2016
      seq 8 | xargs -P 8 -I{} bash -c '
        seq {} 8 "$1" | sed "s|.*|$2|" |
          "$3" --endpoint "$4" --token "$5" --project "$6" >/dev/null' \
        bash "$jobs" "$2" "$bin/start_client" "$KEZEK_ENDPOINT" "$token" "$project"
      ;;
    kezek-array)
      (cd /tmp && as_job_user kezek submit --array="0-$((jobs - 1))" -N 1 --gpus-per-node=1 -t 60 \
        "$2" >/dev/null)
      ;;
    *) fail "--ways: there is no $1" ;;
  esac
}

# Everything has run, and both know.
over() {
  [ "$(find "$1" -type f | wc -l)" -ge "$jobs" ] && [ -z "$(squeue -h -o %i | head -n 1)" ] &&
    [ "$(server_sql -c "select count(*) from jobs where state in
      ('queued', 'starting', 'running')")" = 0 ]
}

# one WAY NUMBER: a line of the raw figures.
one() {
  local folder=$DIR/stamps/$2.$1 script=$DIR/stamps/$2.$1.sh before began said i
  mkdir -m 1777 "$folder"
  cat >"$script" <<SCRIPT
#!/bin/bash
begin=\$EPOCHREALTIME
sleep $run
echo "\$begin \$EPOCHREALTIME" >'$folder/'\$SLURM_JOB_ID
SCRIPT
  before=$(counters)
  began=$EPOCHREALTIME
  submit "$1" "$script"
  said=$EPOCHREALTIME
  for ((i = 0; i < 1200; i++)); do
    if over "$folder"; then break; fi
    sleep 0.5
  done
  over "$folder" || fail "$1: $(find "$folder" -type f | wc -l) of $jobs jobs ran in ten minutes"
  cat "$folder"/* | python3 -c '
import json, sys
way, number, began, said, before, after = sys.argv[1:]
stamps = [line.split() for line in sys.stdin]
begun = sorted(float(one[0]) - float(began) for one in stamps)
before, after = json.loads(before), json.loads(after)

def more(kind):
    return {name: round(after[kind][name] - before[kind].get(name, 0), 3) for name in after[kind]}
print(json.dumps({"way": way, "round": int(number), "jobs": len(stamps),
                  "said_s": round(float(said) - float(began), 2), "first_s": round(begun[0], 2),
                  "half_s": round(begun[len(begun) // 2], 2), "last_s": round(begun[-1], 2),
                  "over_s": round(max(float(one[1]) for one in stamps) - float(began), 2),
                  "cpu_ms": more("cpu_ms"), "calls": more("calls"), "seconds": more("seconds")}))
' "$1" "$2" "$began" "$said" "$before" "$(counters)" >>"$DIR/raw.jsonl"
  tail -n 1 "$DIR/raw.jsonl" >&2
  # slurmctld has forgotten them before the next begin.
  sleep 35
}

main() {
  read_options nodes jobs run rounds ways -- "$@"
  if [ "$quick" = yes ]; then nodes=4 jobs=100; fi
  build_programs kezekd kezek start_client
  slurm_options=(--leaves 4 --min-job-age 30)
  stack_up "$nodes"
  local text form=table way number
  text=$(machine_facts)
  for ((number = 1; number <= rounds; number++)); do
    for way in $ways; do
      note "round $number/$rounds: $jobs jobs by $way"
      one "$way" "$number"
    done
  done
  if [ "$json" = yes ]; then form=json; fi
  python3 "$here/handoff_figures.py" "$form" "$text" "$nodes" <"$DIR/raw.jsonl"
}

main "$@"
