# shellcheck shell=bash
# Which release of Slurm the private cluster is of: this machine's, or one in a folder that
# slurm-root has made. Sourced by `slurm`, which sets DIR, S, here and release.
# shellcheck disable=SC2154

own_release=22.05

# in_root: true where the cluster's release is not this machine's, and this is not inside already.
in_root() { [ -z "${KEZEK_IN_SLURM_ROOT:-}" ] && [ "$release" != "$own_release" ]; }

# recorded_release: that of the cluster in DIR.
recorded_release() { cat "$S/release" 2>/dev/null || echo "$own_release"; }

# settle_release VERB: the cluster in DIR keeps the one that it has.
settle_release() {
  local kept
  kept=$(recorded_release)
  if [ ! -s "$S/shape" ] && [ "$1" != up ]; then
    release=$own_release
  elif [ ! -s "$S/shape" ]; then
    release=${release:-${KEZEK_SLURM_RELEASE:-$own_release}}
  elif [ "${release:-$kept}" = "$kept" ]; then
    release=$kept
  else
    die "the Slurm in $DIR is of release $kept: 'down --wipe' first"
  fi
}

# root_file NAME: the cluster's own /etc/NAME in its root.
root_file() { echo "$S/root/$1"; }

# know_user NAME: a Unix user of this machine is one in the root, too.
know_user() {
  local line
  line=$(getent passwd "$1") || die "no Unix user $1"
  if grep -q "^$1:" "$(root_file passwd)"; then return 0; fi
  echo "$line" >>"$(root_file passwd)"
  getent group "$(cut -d: -f4 <<<"$line")" >>"$(root_file group)"
}

# prepare_root: what the root has of this cluster alone, made with the first `up`.
prepare_root() {
  local root file
  is_root || die "needs root"
  root=$("$here/slurm-root" make "$release" 9>&-)
  mkdir -p "$S/root"
  for file in passwd group; do
    if [ ! -e "$(root_file $file)" ]; then cp "$root/etc/$file" "$(root_file $file)"; fi
  done
  cat /etc/hosts >"$(root_file hosts)"
  echo "$release" >"$S/release"
}

# enter_root ARGUMENT...: this very script with these arguments, where the release is.
enter_root() {
  exec "$here/slurm-root" enter "$release" "$DIR" env KEZEK_IN_SLURM_ROOT="$release" \
    "$here/slurm" "$@" 9>&-
}

# What the releases want said differently.
cgroup_plugin() { if [ "$release" = 22.05 ]; then echo cgroup/v1; else echo disabled; fi; }
dbd_auth_info() { if [ "$release" = 22.05 ]; then echo "$1"; else echo "socket=$1"; fi; }
rest_plugins() {
  if [ "$release" = 22.05 ]; then
    echo -s openapi/v0.0.38,openapi/dbv0.0.38
  else
    echo -s slurmctld,slurmdbd ${api:+-d "$api"}
  fi
}
