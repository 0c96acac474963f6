# shellcheck shell=bash
# The servers of the demo: binaries, database, Slurm, kezekd. Sourced by `demo`.
# shellcheck disable=SC2154

# As the user who called sudo, so that the build folder stays theirs.
build_release() {
  local runner=()
  if [ -n "${SUDO_USER:-}" ] && [ "$(stat -c %U "$root")" = "$SUDO_USER" ]; then
    runner=(setpriv --reuid "$SUDO_USER" --regid "$(id -g "$SUDO_USER")" --init-groups
      env HOME="$(getent passwd "$SUDO_USER" | cut -d: -f6)")
  fi
  cd "$root"
  "${runner[@]}" cmake --preset release
  "${runner[@]}" ninja -C build/release kezekd kezek
}

# Copies: Unix users need not reach the build folder, and a new build does not disturb what runs.
install_binaries() {
  local from=${KEZEK_DEMO_BIN:-$root/build/release/bin} name
  for name in kezekd kezek; do
    [ -x "$from/$name" ] || die "no program $from/$name"
    cmp -s "$from/$name" "$DIR/bin/$name" || install -m 755 "$from/$name" "$DIR/bin/"
  done
  install -m 755 "$deploy/demo.d/jobs/nvidia-count" "$DIR/bin/"
}

secret_text() { # FILE OWNER: random letters, made once.
  [ -s "$1" ] || (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$1")
  chown "$2" "$1"
}

start_database() {
  "$deploy/cluster/postgres" up "$DIR" --auth scram 8>&-
  # shellcheck disable=SC1091
  . "$DIR/env"
  secret_text "$DIR/kezekd/owner.password" root
  secret_text "$DIR/kezekd/app.password" root
  if psql -Atc "select 1 from pg_database where datname = 'kezek'" | grep -qx 1; then return 0; fi
  {
    echo "create role kezek_owner login password '$(cat "$DIR/kezekd/owner.password")';"
    echo "create role kezek_app login password '$(cat "$DIR/kezekd/app.password")';"
    echo "create database kezek owner kezek_owner;"
  } | psql -qX -v ON_ERROR_STOP=1
}

# Slurm tells a job's GPUs only while it runs; before and after each job it tells a script of ours,
# on every node, so that the check has them all.
watch_gpus() {
  mkdir -p "$DIR/gpus"
  local when
  for when in prolog epilog; do
    cat >"$DIR/gpus/$when" <<SCRIPT
#!/bin/bash
echo "\$EPOCHREALTIME $when \$SLURM_JOB_ID \$SLURMD_NODENAME \${SLURM_JOB_GPUS:--}" \
  >>'$DIR/gpus/log'
SCRIPT
    chmod 755 "$DIR/gpus/$when"
  done
}

start_slurm() {
  watch_gpus
  "$deploy/cluster/slurm" up "$DIR" --nodes "$nodes" --credential-for kezek \
    --conf "Prolog=$DIR/gpus/prolog" --conf "Epilog=$DIR/gpus/epilog" --conf PrologFlags=Alloc 8>&-
}

write_kezekd_conf() { # PORT HTTP-PORT
  local database="host=$PGHOST port=$PGPORT dbname=kezek"
  (
    umask 077
    cat >"$DIR/kezekd/kezekd.yaml" <<YAML
cluster: demo
grpc_listen: 127.0.0.1:$1
http: {listen: "127.0.0.1:$2"}
topology: $KEZEK_TOPOLOGY
output_root: $DIR/output
tag_key_file: $DIR/kezekd/tag.key
database:
  url: "$database user=kezek_app password=$(cat "$DIR/kezekd/app.password")"
  migrate_url: "$database user=kezek_owner password=$(cat "$DIR/kezekd/owner.password")"
slurm:
  url: $SLURMRESTD_URL
  jwt_key_file: $SLURM_JWT_KEY
  partition: gpu
YAML
  )
  chown kezek: "$DIR/kezekd/kezekd.yaml"
}

as_kezek() {
  setpriv --reuid kezek --regid "$(id -g kezek)" --init-groups --reset-env \
    env "PATH=$PATH" "LC_ALL=$LC_ALL" "$@"
}

part_postgres() { "$deploy/cluster/postgres" status "$DIR"; }
part_slurm() { "$deploy/cluster/slurm" status "$DIR"; }
part_kezekd() { running "$DIR/kezekd/pid" kezekd; }

# Answers, or has ended: then it is of no use to wait for it.
answers() {
  if ! kill -0 "$(cat "$DIR/kezekd/pid")" 2>/dev/null; then return 0; fi
  KEZEK_CONFIG=/dev/null KEZEK_TOKEN=$(cat "$DIR/kezekd/admin.token") KEZEK_ENDPOINT=$1 \
    timeout 2 "$DIR/bin/kezek" whoami
}

prepare_kezekd() { # PORT HTTP-PORT
  # shellcheck disable=SC1091
  . "$DIR/env"
  secret_text "$DIR/kezekd/tag.key" kezek
  mkdir -p "$DIR/output"
  chown kezek: "$DIR/output"
  chmod 755 "$DIR/output"
  as_kezek setfacl -m u:nobody:rx "$DIR/output" ||
    die "no POSIX ACLs on the file system of $DIR: set KEZEK_DEMO_DIR to a folder on one that has"
  as_kezek setfacl -b "$DIR/output"
  write_kezekd_conf "$1" "$2"
  as_kezek "$DIR/bin/kezekd" --config "$DIR/kezekd/kezekd.yaml" --check-config
  if [ ! -s "$DIR/kezekd/admin.token" ]; then
    as_kezek "$DIR/bin/kezekd" --config "$DIR/kezekd/kezekd.yaml" init \
      --admin aida@alem --token-file "$DIR/kezekd/admin.token"
  fi
}

start_kezekd() {
  local port http_port
  if part_kezekd; then
    if cmp -s "/proc/$(cat "$DIR/kezekd/pid")/exe" "$DIR/bin/kezekd"; then return 0; fi
    stop_pid "$DIR/kezekd/pid" kezekd
  fi
  port=$(kept_port kezekd)
  http_port=$(kept_port kezekd-http)
  prepare_kezekd "$port" "$http_port"
  cd "$DIR/kezekd"
  # The process writes its own id: setsid forks where the shell has made it a group of its own.
  rm -f "$DIR/kezekd/pid"
  setsid bash -c 'echo $$ >"$1" && shift && exec "$@"' start-kezekd "$DIR/kezekd/pid" \
    setpriv --reuid kezek --regid "$(id -g kezek)" --init-groups --reset-env \
    env "PATH=$PATH" "LC_ALL=$LC_ALL" "$DIR/bin/kezekd" --config "$DIR/kezekd/kezekd.yaml" \
    >>"$DIR/log/kezekd.log" 2>&1 </dev/null 8>&- &
  wait_for 5 kezekd "$DIR/log/kezekd.log" test -s "$DIR/kezekd/pid"
  wait_for 20 kezekd "$DIR/log/kezekd.log" answers "127.0.0.1:$port"
  if ! part_kezekd; then
    tail -n 10 "$DIR/log/kezekd.log" >&2
    die "kezekd ended at once (log: $DIR/log/kezekd.log)"
  fi
  write_env kezekd <<ENV
export KEZEK_ENDPOINT=127.0.0.1:$port
export KEZEK_HTTP=http://127.0.0.1:$http_port
ENV
}
