# shellcheck shell=bash
# The servers of the demo: database, Slurm, kezekd. Sourced by `demo`.
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

install_tools() { install -m 755 "$deploy/demo.d/jobs/nvidia-count" "$DIR/bin/"; }

start_database() { "$deploy/cluster/postgres" up "$DIR" --auth scram 8>&-; }

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
  "$deploy/cluster/slurm" up "$DIR" --nodes "$nodes" ${slices:+--slices "$slices"} \
    --credential-for kezek \
    --conf "Prolog=$DIR/gpus/prolog" --conf "Epilog=$DIR/gpus/epilog" --conf PrologFlags=Alloc 8>&-
}

start_kezekd() {
  "$deploy/cluster/kezekd" up "$DIR" --bin "${KEZEK_DEMO_BIN:-$root/build/release/bin}" \
    --admin aida@alem --cluster demo 8>&-
}

part_postgres() { "$deploy/cluster/postgres" status "$DIR"; }
part_slurm() { "$deploy/cluster/slurm" status "$DIR"; }
part_kezekd() { "$deploy/cluster/kezekd" status "$DIR"; }
