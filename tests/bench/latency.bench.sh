# from the call to the time the script's first line stamps, beside sbatch
# shellcheck shell=bash disable=SC2154
set -euo pipefail
# shellcheck source=tests/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

pairs=100

usage() {
  cat <<'TEXT'
usage: tests/bench/run latency [--pairs 100] [--json] [--quick] [--no-build] [--dir DIR]
Starts a job of one GPU on an idle cluster of 2 nodes, in turns with sbatch, with `kezek submit`,
and over an open gRPC connection. A start is timed from just before the command (the call) until
the moment that `date`, the first command of the job's script, writes down. Before each start lies
a random pause of up to a second, because Slurm's schedulers look at fixed moments.
TEXT
}

# The command runs as the job's user in both cases; the start of setpriv and env is not counted.
# shellcheck disable=SC2016
timed='began=${EPOCHREALTIME/[^0-9]/}000; "$@" >/dev/null || exit 1; echo "$began"'

start_sbatch() {
  as_job_user bash -c "$timed" bash sbatch -A bench -N 1 --gres=gpu:h200:1 -t 60 -D /tmp \
    -o /dev/null "$1"
}

start_cli() {
  (cd /tmp && as_job_user bash -c "$timed" bash kezek submit -N 1 --gpus-per-node=1 -t 60 "$1")
}

start_grpc() {
  local answer
  echo "$1" >&"${client[1]}"
  read -r -t 30 answer <&"${client[0]}" || fail "start_client does not answer"
  echo "${answer% *}"
}

# one KIND NUMBER: starts a job and records how long its start took.
one() {
  local stamp=$DIR/stamps/$2.$1 script=$DIR/stamps/$2.$1.sh began i
  script_of 600 "/usr/bin/date +%s%N >$stamp" >"$script"
  sleep "0.$(printf '%03d' $((RANDOM % 1000)))"
  began=$("start_$1" "$script") || fail "$1 failed"
  for ((i = 0; i < 1200; i++)); do
    if [ -s "$stamp" ]; then break; fi
    sleep 0.05
  done
  [ -s "$stamp" ] || fail "the job of $1 did not start in a minute"
  echo "{\"pair\": $2, \"what\": \"$1\", \"ms\": $((($(cat "$stamp") - began) / 1000000))}" \
    >>"$DIR/raw.jsonl"
  rm -f "$script" "$stamp"
  sleep 0.2
}

main() {
  read_options pairs -- "$@"
  if [ "$quick" = yes ]; then pairs=5; fi
  build_programs kezekd kezek start_client
  stack_up 2
  local facts number kinds=(sbatch cli grpc)
  facts=$(machine_facts)
  coproc client { exec "$bin/start_client" --endpoint "$KEZEK_ENDPOINT" --token "$token" \
    --project "$project"; }
  for ((number = 0; number <= pairs; number++)); do
    kinds=("${kinds[@]:1}" "${kinds[0]}") # each kind is first, second and last as often
    for kind in "${kinds[@]}"; do one "$kind" "$number"; done
    if ((number % 10 == 0)); then note "$number of $pairs"; fi
  done
  local form=table
  if [ "$json" = yes ]; then form=json; fi
  python3 "$here/latency_figures.py" "$form" "$facts" <"$DIR/raw.jsonl"
}

main "$@"
