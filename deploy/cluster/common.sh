# shellcheck shell=bash
# What the cluster scripts share: messages, ports, pid files, users, the env file.
# To be sourced. The caller sets DIR (absolute, existing) before it uses ports, pids or env.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C.UTF-8

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: error: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }

# need COMMAND PACKAGE: stops with the package's name when the command is missing.
need() { command -v "$1" >/dev/null 2>&1 || die "no command $1: install the package $2"; }

# as_user USER COMMAND…: the command as USER, without root's groups; as the caller when not root.
as_user() {
  local user=$1
  shift
  if is_root; then
    setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --reset-env -- \
      env "PATH=$PATH" "LC_ALL=$LC_ALL" "$@"
  else
    "$@"
  fi
}

# open_dir ARGUMENT [create]: sets DIR, and with "create" makes it and takes its lock, so that two
# calls for one folder follow each other. Daemons must be started with 9>&- to let the lock go.
open_dir() {
  [ -n "${1:-}" ] || die "no folder given; see --help"
  if [ "${2:-}" = create ]; then
    mkdir -p "$1/log" || die "cannot make $1"
  fi
  [ -d "$1" ] || die "no such folder: $1"
  DIR=$(cd "$1" && pwd -P)
  if is_root && [ "${2:-}" = create ]; then chmod a+rx "$DIR" "$DIR/log"; fi
  exec 9>"$DIR/.lock"
  flock -w 300 9 || die "another call works on $DIR since five minutes"
}

# reachable USER: stops unless USER may enter DIR.
reachable() {
  as_user "$1" test -x "$DIR" ||
    die "Unix user $1 cannot enter $DIR: use a folder whose parents others may enter"
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# kept_port NAME [COUNT]: prints the port (the first of COUNT adjoining ones) that this folder uses
# for NAME: the one of the last time while it is free, else a new one below the ephemeral range.
kept_port() {
  local name=$1 count=${2:-1} port try i
  mkdir -p "$DIR/ports"
  for try in $(seq 0 200); do
    if [ "$try" = 0 ]; then
      port=$(cat "$DIR/ports/$name" 2>/dev/null) || continue
    else
      port=$((10240 + (RANDOM * 32768 + RANDOM) % (32000 - 10240 - count)))
    fi
    for ((i = 0; i < count; i++)); do
      if port_taken $((port + i)); then continue 2; fi
    done
    echo "$port" >"$DIR/ports/$name"
    echo "$port"
    return 0
  done
  die "no free port for $name on 127.0.0.1"
}

# pid_of PIDFILE NAME…: prints the process in PIDFILE; false if none lives under one of these names.
# The file is read once: a daemon that ends takes its own file away at any moment.
pid_of() {
  local pid
  pid=$(head -n1 "$1" 2>/dev/null) || return 1
  [ -n "$pid" ] || return 1
  lives_as "$pid" "${@:2}" && echo "$pid"
}

# lives_as PID NAME…: true while the process lives under one of these names. One that has ended, and
# that nobody has waited for, is no longer alive.
lives_as() {
  local status name
  status=$(cat "/proc/$1/status" 2>/dev/null) || return 1
  case $status in *$'\nState:\tZ'*) return 1 ;; esac
  name=${status%%$'\n'*} && name=${name#Name:$'\t'}
  shift
  case " $* " in *" $name "*) return 0 ;; *) return 1 ;; esac
}

running() { pid_of "$@" >/dev/null; }

# signal_pid PIDFILE NAME…: asks the process to end, if it is the one that the file means.
signal_pid() {
  local pid
  if pid=$(pid_of "$@"); then kill "$pid" 2>/dev/null || true; fi
}

# stop_pid PIDFILE NAME…: ends the process, by force after 20 s, and removes the file.
stop_pid() {
  local file=$1 pid i
  shift
  if pid=$(pid_of "$file" "$@"); then
    kill "$pid" 2>/dev/null || true
    for ((i = 0; i < 400; i++)); do
      lives_as "$pid" "$@" || break
      sleep 0.05
    done
    if lives_as "$pid" "$@"; then
      say "$1 ($pid) does not end: killing it"
      kill -9 "$pid" 2>/dev/null || true
    fi
  fi
  rm -f "$file"
}

# wait_for SECONDS WHAT LOG COMMAND…: waits until the command succeeds; else stops with LOG's end.
wait_for() {
  local seconds=$1 what=$2 log=$3 i
  shift 3
  for ((i = 0; i < seconds * 20; i++)); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.05
  done
  if [ -s "$log" ]; then tail -n 15 "$log" >&2; fi
  die "$what did not come up in $seconds s (log: $log)"
}

# write_env PART, lines on stdin: this part's variables; DIR/env joins all parts for `source`.
write_env() {
  mkdir -p "$DIR/env.d"
  cat >"$DIR/env.d/$1"
  cat "$DIR"/env.d/* >"$DIR/env.new"
  chmod a+r "$DIR/env.new"
  mv "$DIR/env.new" "$DIR/env"
}

drop_env() {
  rm -f "$DIR/env.d/$1"
  cat "$DIR"/env.d/* >"$DIR/env" 2>/dev/null || rm -f "$DIR/env"
}
