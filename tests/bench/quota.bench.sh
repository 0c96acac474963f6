# a pick, a charge, a new weight, entitlement, with 1,000 to 1,000,000 jobs waiting
# shellcheck shell=bash disable=SC2154
set -euo pipefail
# shellcheck source=tests/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

rounds=5 most=1000000

usage() {
  cat <<'TEXT'
usage: tests/bench/run quota [--rounds 5] [--most 1000000] [--json] [--quick] [--no-build]
The quota engine alone, in one process and one thread: no servers, no root. 2,000 accounts, up to
10,000 users, 1,000 to 1,000,000 waiting jobs. Medians of the rounds, beside a calibration loop.
TEXT
}

main() {
  read_options rounds most -- "$@"
  if [ "$quick" = yes ]; then rounds=1 most=10000; fi
  build_programs quota_bench
  local facts form=table
  DIR=${DIR:-${TMPDIR:-/var/tmp}}
  facts=$(machine_facts)
  if [ $ahead = yes ]; then chrt --rr --pid 1 $$; fi
  if [ "$json" = yes ]; then form=json; fi
  note "measuring; with a million jobs each round takes some seconds"
  "$bin/quota_bench" --rounds "$rounds" --most "$most" |
    python3 "$here/quota_figures.py" "$form" "$facts"
}

main "$@"
