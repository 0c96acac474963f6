# a tick of the scheduling engine, with 1,000 to 1,000,000 jobs waiting, on 100 to 10,000 nodes
# shellcheck shell=bash disable=SC2154
set -euo pipefail
# shellcheck source=tests/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

rounds=5 most=1000000 seconds=5

usage() {
  cat <<'TEXT'
usage: tests/bench/run engine [--rounds 5] [--most 1000000] [--seconds 5] [--json] [--quick]
                              [--no-build] [--ahead]
The scheduling engine alone, in one process and one thread: no servers, no root. 1,250 nodes of 8
GPUs, 100,000 waiting jobs of 10,000 users in 2,000 accounts: medians of the rounds, beside a
calibration loop. Then once each with 1,000 to --most jobs, on 100 to 10,000 nodes, with a budget
for every institution, and with promises and reclaim. Ticks of one kind take at most --seconds.
build/release/bin/tick_bench takes the sizes as options.
TEXT
}

# measure NAME ROUNDS OPTIONS: one process for each round, so that its memory is its own.
measure() {
  local name=$1 times=$2 round
  shift 2
  note "measuring $name"
  for ((round = 1; round <= times; round++)); do
    "$bin/tick_bench" --seconds "$seconds" --seed "$round" "$@" |
      sed "s/^{/{\"scene\": \"$name\", \"round\": $round, /"
  done
}

measure_all() {
  local size
  measure standard "$rounds"
  for size in 1000 10000 1000000; do
    if [ "$size" -le "$most" ]; then measure jobs 1 --jobs "$size"; fi
  done
  for size in 100 10000; do measure nodes 1 --nodes "$size"; done
  measure budgets 1 --budgets 1
  measure promises 1 --promises 8
}

main() {
  read_options rounds most seconds -- "$@"
  if [ "$quick" = yes ]; then rounds=1 most=10000 seconds=2; fi
  build_programs tick_bench
  local facts form=table
  DIR=${DIR:-${TMPDIR:-/var/tmp}}
  facts=$(machine_facts)
  if [ $ahead = yes ]; then chrt --rr --pid 1 $$; fi
  if [ "$json" = yes ]; then form=json; fi
  measure_all | python3 "$here/engine_figures.py" "$form" "$facts"
}

main "$@"
