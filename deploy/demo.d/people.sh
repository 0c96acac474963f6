# shellcheck shell=bash
# The accounts and users of tree.txt: in Unix, in Slurm, in Kezek. Sourced by `demo`.
# shellcheck disable=SC2154

tree_rows() { sed -n "s/^$1 //p" "$deploy/demo.d/tree.txt"; } # account | user

# unix_name NAME: the Unix user of kz-aizhan, or of aizhan@alem.
unix_name() {
  local unix global rest
  while read -r unix global rest; do
    if [ "$1" = "$unix" ] || [ "$1" = "$global" ]; then
      echo "$unix"
      return 0
    fi
  done < <(tree_rows user)
  die "no demo user '$1': there are $(tree_rows user | cut -d' ' -f2 | paste -sd' ')"
}

# Demos of one machine share their Unix users: the comment of one that a demo made lists the folders
# of all demos that use it. Others' users bear no such comment and are left alone.
comment_begin='Kezek demo in '

folders_using() { # NAME: a line each.
  { getent passwd "$1" || true; } | cut -d: -f5 | sed -n "s/^$comment_begin//p" | tr '|' '\n'
}

use_user() { # NAME OPTIONS…
  local used
  if ! getent passwd "$1" >/dev/null; then
    useradd --no-create-home --comment "$comment_begin$DIR" "${@:2}" "$1"
    return 0
  fi
  used=$(folders_using "$1")
  if [ -z "$used" ] || grep -qxF "$DIR" <<<"$used"; then return 0; fi
  usermod --comment "$comment_begin$(paste -sd'|' <<<"$used")|$DIR" "$1"
}

make_users() {
  local unix rest
  case $DIR in *[:\|]*) die "$DIR: a demo's folder can have no : or | in its name" ;; esac
  install_tools
  use_user kezek --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin
  mkdir -p "$DIR/home"
  chmod 711 "$DIR/home"
  while read -r unix rest; do
    use_user "$unix" --user-group --home-dir "$DIR/home/$unix" --shell /bin/bash
    mkdir -p "$DIR/home/$unix"
    chown "$unix": "$DIR/home/$unix"
    chmod 750 "$DIR/home/$unix"
  done < <(tree_rows user)
}

# leave_user NAME: removes it, unless another folder with a demo uses it: prints that folder then.
leave_user() {
  local used folder others=()
  used=$(folders_using "$1")
  grep -qxF "$DIR" <<<"$used" || return 0
  while read -r folder; do
    if [ "$folder" != "$DIR" ] && [ -e "$folder/demo.conf" ]; then others+=("$folder"); fi
  done <<<"$used"
  if [ ${#others[@]} = 0 ]; then
    userdel "$1" 2>/dev/null || echo "some process"
    return 0
  fi
  usermod --comment "$comment_begin$(printf '%s\n' "${others[@]}" | paste -sd'|')" "$1"
  echo "${others[0]}"
}

remove_users() {
  local name user
  for name in $(tree_rows user | cut -d' ' -f1) kezek; do
    user=$(leave_user "$name")
    if [ -z "$user" ]; then continue; fi
    say "demo: the Unix user $name stays: $user uses it"
  done
}

as_person() { # UNIX COMMAND…: in the user's home, with the user's own configuration file.
  local unix=$1 home=$DIR/home/$1
  shift
  [ $# -gt 0 ] || die "as wants a command; see --help"
  (cd "$home" && setpriv --reuid "$unix" --regid "$(id -g "$unix")" --init-groups --reset-env -- \
    env "PATH=$DIR/bin:/usr/local/bin:/usr/bin:/bin" "LC_ALL=$LC_ALL" "HOME=$home" \
    "SLURM_CONF=$SLURM_CONF" "KEZEK_ENDPOINT=$KEZEK_ENDPOINT" "$@")
}

as_admin() {
  KEZEK_CONFIG=/dev/null KEZEK_TOKEN=$(cat "$DIR/kezek/admin.token") \
    KEZEK_ENDPOINT=$KEZEK_ENDPOINT "$DIR/bin/kezek" "$@"
}

make_accounts() {
  local have path kind weight guarantee slurm title options
  need_folder
  have=$(as_admin admin account list -o name)
  if [ -z "$have" ]; then # nothing but the root: the whole machine may be guaranteed below it
    as_admin admin account set '' --reason "the machine" \
      --guarantee "h200=$((nodes * 8 - ${slices:+1} + 0))" # of a node with slices one less
  fi
  while read -r path kind weight guarantee slurm title; do
    if grep -qxF "$path" <<<"$have"; then continue; fi
    options=(--weight "h200=$weight" --title "$title")
    [ "$guarantee" = - ] || options+=(--guarantee "h200=$((guarantee * nodes / 8))")
    [ "$slurm" = - ] || options+=(--slurm-account "$slurm")
    as_admin admin account create "$path" --kind "$kind" "${options[@]}" --reason "the demo's tree"
  done < <(tree_rows account)
}

# slurm_account PROJECT: the Slurm account of the nearest account above it that names one.
slurm_account() {
  local path kind weight guarantee slurm rest found=
  while read -r path kind weight guarantee slurm rest; do
    if [ "$slurm" != - ]; then case $1/ in "$path"/*) found=$slurm ;; esac; fi
  done < <(tree_rows account)
  echo "$found"
}

make_people() {
  local unix global project name account token
  need_folder
  while read -r unix global project name; do
    token=$DIR/home/$unix/.kezek-token
    if [ -s "$token" ]; then continue; fi
    account=$(slurm_account "$project")
    "$deploy/cluster/slurm" account "$DIR" "$account" 8>&-
    "$deploy/cluster/slurm" user "$DIR" "$unix" "$account" 8>&-
    if ! as_admin admin user show "$global" >/dev/null 2>&1; then
      as_admin admin user create "$global" --unix "$unix" --member-of "$project" --name "$name"
    fi
    (umask 077 && as_admin admin token create --user "$global" --label demo -o name >"$token.new")
    chown "$unix": "$token.new"
    as_person "$unix" kezek login --endpoint "$KEZEK_ENDPOINT" --project "$project" <"$token.new"
    mv "$token.new" "$token"
  done < <(tree_rows user)
}
