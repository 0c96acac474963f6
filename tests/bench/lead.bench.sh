# a start of the leader with 1,000,000 entries of usage in the ledger: what it loads, and how long
# shellcheck shell=bash disable=SC2154
set -euo pipefail
# shellcheck source=tests/bench/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

entries=1000000 rounds=3

usage() {
  cat <<'TEXT'
usage: tests/bench/run lead [--entries 1000000] [--rounds 3] [--quick] [--no-build] [--dir DIR]
A private PostgreSQL and the store and the controller of kezekd, in one process. Prints one JSON
object a round: load_s is reading the snapshot, begin_s what the controller makes of it.
TEXT
}

server_down() {
  local status=$?
  trap - EXIT INT TERM
  "$deploy/postgres" down "$DIR" --wipe >&2 || status=1
  if [ $status = 0 ]; then rm -rf "$DIR"; else note "failed; logs in $DIR/log"; fi
  exit $status
}

main() {
  read_options entries rounds -- "$@"
  if [ "$quick" = yes ]; then rounds=1 entries=100000; fi
  build_programs lead_bench
  DIR=${DIR:-$(mktemp -d "${TMPDIR:-/var/tmp}/kezek-bench.XXXXXX")}
  chmod 755 "$DIR"
  trap server_down EXIT
  trap 'exit 1' INT TERM
  "$deploy/postgres" up "$DIR" >&2
  note "booking $entries entries for each round"
  for _ in $(seq "$rounds"); do KEZEK_PG_DIR=$DIR "$bin/lead_bench" "$entries"; done
}

main "$@"
