# durable acknowledged submissions per second, beside pgbench, sbatch and slurmrestd
# shellcheck shell=bash
set -euo pipefail
# shellcheck source=tests/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

rounds=5 seconds=3 clients='1 8 32 128' many_clients='1 8' with_slurm=yes

usage() {
  cat <<'TEXT'
usage: tests/bench/run submit [--rounds 5] [--seconds 3] [--clients '1 8 32 128'] [--no-slurm]
                              [--json] [--quick] [--no-build] [--dir DIR]
Closed loop: so many clients, each with one submission under way, of a held job with a script of 600
bytes. Each round starts on fresh databases and measures, for every number of clients, Kezek's
Submit, pgbench writing the same rows and bytes, sbatch --hold, and slurmrestd's submit one after
the other, in turned order every second round; then SubmitMany with batches of 100. Ratios are
taken within a round; what is printed are medians over the rounds.
TEXT
}

own_flag() { [ "$1" = --no-slurm ] && with_slurm=no; }

# record WHAT CLIENTS MANY PER_S [MORE]: one line of the raw figures.
record() {
  echo "{\"round\": $round, \"what\": \"$1\", \"clients\": $2, \"many\": $3, \"per_s\": $4${5:-}}" \
    >>"$DIR/raw.jsonl"
  note "round $round/$rounds: $1, $2 clients$([ "$3" = 0 ] || echo ", batches of $3"): $4 per s"
}

# field NAME, a line of JSON on stdin.
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

server_sql() { PGOPTIONS='-c search_path=kezek' psql -qXAt -v ON_ERROR_STOP=1 "$@"; }

run_kezek() {
  local answer
  answer=$("$bin/submit_client" --endpoint "$KEZEK_ENDPOINT" --token "$token" \
    --project "$project" --clients "$1" --many "$2" --seconds "$seconds")
  record kezek "$1" "$2" "$(field per_s <<<"$answer")" \
    ", \"p50_us\": $(field p50_us <<<"$answer"), \"p99_us\": $(field p99_us <<<"$answer")"
}

# The same rows and bytes by pgbench: one statement, which is one transaction, a submission.
run_pgbench() {
  local threads=$1 out=$DIR/pgbench.log rate
  if [ "$threads" -gt 4 ]; then threads=4; fi
  PGOPTIONS='-c search_path=kezek' pgbench -n -M prepared -h 127.0.0.1 -U kezek_app -c "$1" \
    -j "$threads" -T "$seconds" -f "$DIR/peer.sql" "${peer_values[@]}" peer >"$out" 2>&1 ||
    { cat "$out" >&2 && fail "pgbench failed"; }
  grep -q 'failed transactions: 0 ' "$out" || { cat "$out" >&2 && fail "pgbench had failures"; }
  rate=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$out")
  record pgbench "$1" 0 "$(printf '%.1f' "$rate")"
}

# N shells, each calling sbatch again and again.
run_sbatch() {
  local answer
  answer=$(as_job_user python3 "$here/shells.py" "$1" "$slurm_seconds" sbatch --hold \
    --parsable -A bench -N 1 --gres=gpu:h200:1 -t 60 -D /tmp -o /dev/null "$DIR/script.sh")
  record sbatch "$1" 0 "$(field per_s <<<"$answer")" ", \"failed\": $(field failed <<<"$answer")"
}

run_slurmrestd() {
  local threads=$1 answer
  if [ "$threads" -gt 2 ]; then threads=2; fi
  answer=$(BENCH_BODY=$DIR/submit.json BENCH_USER=$job_user BENCH_TOKEN=$slurm_token \
    wrk -t "$threads" -c "$1" -d "${slurm_seconds}s" --timeout 20s -s "$here/submit.lua" \
    "$SLURMRESTD_URL/slurm/v0.0.38/job/submit" | tail -n 1)
  record slurmrestd "$1" 0 "$(field per_s <<<"$answer")" \
    ", \"failed\": $(field failed <<<"$answer")"
}

slurm_files() {
  script_of 600 >"$DIR/script.sh"
  chmod 644 "$DIR/script.sh"
  slurm_token=$("$deploy/slurm" token "$DIR" "$job_user" 7200)
  python3 - "$DIR/script.sh" >"$DIR/submit.json" <<'PY'
import json
import sys

job = {"name": "bench", "account": "bench", "nodes": "1-1", "gres": "gpu:h200:1",
       "time_limit": 60, "hold": True, "current_working_directory": "/tmp",
       "standard_output": "/dev/null", "environment": {"PATH": "/usr/bin:/bin"}}
json.dump({"script": open(sys.argv[1], encoding="utf-8").read(), "job": job}, sys.stdout)
PY
}

# The peer's database has Kezek's own tables, indexes, checks and triggers; its statement and the
# bytes it writes come from a row that Kezek wrote, and its numbers from sequences.
peer_files() {
  "$bin/submit_client" --endpoint "$KEZEK_ENDPOINT" --token "$token" --project "$project" \
    --clients 1 --seconds 0.1 >/dev/null
  server_sql -d kezek -f "$here/peer_values.sql" >"$DIR/peer_values"
  peer_values=()
  local name value
  while read -r name value; do
    peer_values+=(-D "$name=$(base64 -d <<<"$value")")
  done <"$DIR/peer_values"
  [ ${#peer_values[@]} -ge 20 ] || fail "Kezek stored no submission to copy"
  cp "$here/peer.sql" "$DIR/peer.sql"
}

# Empty databases to begin every round with: of Kezek with the project and its user, and the peer's.
templates() {
  "$deploy/kezekd" stop "$DIR"
  server_sql <<'SQL'
drop database if exists kezek_start;
drop database if exists peer_start;
create database kezek_start template kezek owner kezek_owner;
SQL
  server_sql -d kezek_start -f "$here/forget_jobs.sql"
  server_sql -c 'create database peer_start template kezek_start owner kezek_owner'
  server_sql -d peer_start -f "$here/peer_schema.sql"
}

fresh_databases() {
  "$deploy/kezekd" stop "$DIR"
  server_sql <<'SQL'
drop database if exists kezek;
drop database if exists peer;
create database kezek template kezek_start owner kezek_owner;
create database peer template peer_start owner kezek_owner;
checkpoint;
SQL
  "$deploy/kezekd" start "$DIR"
}

# A slurmctld that remembers no job either: cancelling thousands of held jobs takes Slurm longer.
fresh_slurm() {
  "$deploy/slurm" stop "$DIR" slurmctld
  rm -rf "$DIR"/slurm/state/*
  "$deploy/slurm" start "$DIR" slurmctld
}

measure_round() {
  local count what order='kezek pgbench'
  if [ $with_slurm = yes ]; then order+=' sbatch slurmrestd'; fi
  if [ $((round % 2)) = 0 ]; then order=$(tr ' ' '\n' <<<"$order" | tac | tr '\n' ' '); fi
  fresh_databases
  if [ $with_slurm = yes ]; then fresh_slurm; fi
  for count in $clients; do
    for what in $order; do
      case $what in kezek) run_kezek "$count" 0 ;; *) "run_$what" "$count" ;; esac
    done
  done
  for count in $many_clients; do run_kezek "$count" 100; done
}

main() {
  read_options rounds seconds clients -- "$@"
  if [ "$quick" = yes ]; then rounds=1 seconds=1; fi
  build_programs kezekd kezek submit_client
  if [ $with_slurm = yes ]; then need wrk wrk; fi
  need pgbench postgresql-15
  slurm_seconds=$((seconds > 2 ? 2 : seconds))
  stack_up 2
  local facts
  facts=$(machine_facts)
  slurm_files
  peer_files
  templates
  for ((round = 1; round <= rounds; round++)); do measure_round; done
  local form=table
  if [ "$json" = yes ]; then form=json; fi
  python3 "$here/submit_figures.py" "$form" "$facts" <"$DIR/raw.jsonl"
}

main "$@"
