# how soon kezekd has committed starts and ends beside 1,000 running jobs, and what it asks for that
# shellcheck shell=bash disable=SC2154
set -euo pipefail
# shellcheck source=tests/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"
# shellcheck source=tests/bench/seen.sh
. "$here/seen.sh"

running=1000 rate=1 seconds=180 queued=0 age=300

usage() {
  cat <<'TEXT'
usage: tests/bench/run following [--running 1000] [--rate 1] [--seconds 180] [--queued 0]
                                 [--age 300] [--json] [--quick] [--no-build] [--dir DIR]
A Slurm with a real slurmd for every 8 jobs of --running, which run all the time. Beside them, for
--seconds, --rate jobs a second are submitted by `kezek submit`, each of one GPU and 1 to 8 s
long. Timed until the commit, by PostgreSQL's own clock of commits: a start from slurmctld's
decision (its log) and from the script's first line, an end from the script's last line and from
the moment at which slurmctld has heard of it. Besides, what kezekd asked slurmrestd, by its
metrics, and the processor time of all. --queued held jobs of somebody else (at most 20,000) wait
in slurmctld meanwhile, so that listings are long. --age is Slurm's MinJobAge: for so many seconds
listings have what has ended. 1,000 running jobs take 2 GB.
TEXT
}

before_down() { end_jobs; }

# All that shall run throughout, as one array.
fill() {
  local i count=0 script=$DIR/stamps/fill.sh
  # Should the bench die, they end by themselves.
  printf '#!/bin/bash\nexec sleep %s\n' $((seconds + 900)) >"$script"
  (cd /tmp && as_job_user kezek submit --array="0-$((running - 1))" -N 1 --gpus-per-node=1 \
    -t 60 "$script" >&2)
  for ((i = 0; i < 300; i++)); do
    count=$(server_sql -c "select count(*) from attempts where state = 'running'")
    [ "$count" -lt "$running" ] || return 0
    if ((i % 10 == 0)); then note "$count of $running run"; fi
    sleep 1
  done
  fail "only $count of $running jobs run after 300 s"
}

main() {
  read_options running rate seconds queued age -- "$@"
  if [ "$quick" = yes ]; then running=100 seconds=30; fi
  [ "$queued" -le 20000 ] || fail "--queued: at most 20,000"
  build_programs kezekd kezek
  slurm_options=(--leaves 4 --min-job-age "$age")
  stack_up $(((running + 7) / 8 + 4))
  local text form=table
  text=$(machine_facts)
  note "$running jobs are brought to run"
  fill
  if [ "$queued" -gt 0 ]; then
    note "$queued held jobs of somebody else"
    seen queue --jobs "$queued" --user "$job_user" \
      --token "$("$deploy/slurm" token "$DIR" "$job_user" 7200)"
  fi
  sleep 5
  note "$rate jobs a second for $seconds s"
  counters >"$DIR/raw.jsonl"
  as_job_user env PYTHONDONTWRITEBYTECODE=1 python3 "$here/following_drive.py" stream \
    --rate "$rate" --seconds "$seconds" --folder "$DIR/stamps" >"$DIR/stream.jsonl"
  counters >>"$DIR/raw.jsonl"
  sleep 20
  cat "$DIR/stream.jsonl" >>"$DIR/raw.jsonl"
  committed >>"$DIR/raw.jsonl"
  seen heard <"$DIR/log/slurmctld.log" >>"$DIR/raw.jsonl"
  grep 'the cluster does not answer' "$DIR/log/kezekd.log" >&2 || true
  if [ "$json" = yes ]; then form=json; fi
  python3 "$here/following_figures.py" "$form" "$text" <"$DIR/raw.jsonl"
}

main "$@"
