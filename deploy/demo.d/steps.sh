# shellcheck shell=bash
# Steps that say what they do and how long it took. Sourced by `demo`, which sets DIR.
# shellcheck disable=SC2154

begin_steps() {
  LOG=$DIR/log/demo.log
  trap 'failed "line $LINENO of ${BASH_SOURCE[0]##*/}" $?' ERR
}

failed() { # WHERE STATUS: ends the demo, saying where.
  trap - ERR
  printf '\ndemo: error: %s failed (status %s); what is up stays up.\n' "$1" "$2" >&2
  printf 'Log: %s. Stop everything: deploy/demo down\n' "$LOG" >&2
  exit 1
}

# step TITLE COMMAND…: runs the command (a function, too) with its output in demo.log. If any part
# of it fails, shows the end of its output and ends the demo.
step() {
  local title=$1 start=$EPOCHREALTIME status=0 from ms
  shift
  printf '  %-56s' "$title"
  printf '\n== %s  %s\n' "$(date +%T)" "$title" >>"$LOG"
  from=$(stat -c %s "$LOG")
  trap - ERR
  set +e
  (
    set -e
    "$@"
  ) >>"$LOG" 2>&1 </dev/null
  status=$?
  set -e
  trap 'failed "line $LINENO of ${BASH_SOURCE[0]##*/}" $?' ERR
  if [ $status != 0 ]; then
    printf 'failed\n'
    tail -c "+$((from + 1))" "$LOG" | tail -n 20 | sed 's/^/    | /' >&2
    failed "the step \"$title\"" $status
  fi
  ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
  printf '%4d.%d s\n' $((ms / 1000)) $((ms % 1000 / 100))
}
