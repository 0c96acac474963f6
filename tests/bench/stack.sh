# shellcheck shell=bash
# What the benchmarks share: options, the build, the stack, the facts of the machine. To be sourced.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
bin=${KEZEK_BENCH_BIN:-$root/build/release/bin}
deploy=$root/deploy/cluster

json=no quick=no build=yes ahead=no DIR='' made_user=no
kezekd_conf=() # --conf LINE …: what one benchmark wants of kezekd besides
slurm_options=(--leaves 1 --min-job-age 5)
job_user=kz-bench
project=bench/lab/load

note() { printf 'bench: %s\n' "$*" >&2; }
fail() {
  printf 'bench: error: %s\n' "$*" >&2
  exit 1
}

# An option without a value that only one benchmark has: it defines this anew.
own_flag() { return 1; }

# read_options [NAME ...] -- WORDS: what all benchmarks have, and `--NAME N` of each NAME: sets the
# variable of that name.
read_options() {
  local name names=' '
  while [ "$1" != -- ]; do names+="$1 " && shift; done
  shift
  while [ $# -gt 0 ]; do
    shared_option "$@"
    if [ "$taken" -gt 0 ]; then shift "$taken" && continue; fi
    if own_flag "$1"; then shift && continue; fi
    name=${1#--}
    case $1 in
      -h | --help) usage && exit 0 ;;
      --*) [[ $names == *" $name "* ]] || fail "unknown option $1; see --help" ;;
      *) fail "unknown option $1; see --help" ;;
    esac
    printf -v "$name" %s "${2:?$1 wants a number}"
    shift 2
  done
}

# shared_option WORD NEXT: takes one of the options all benchmarks have; sets `taken` to the number
# of words, 0 if it is none of them.
shared_option() {
  taken=1
  case $1 in
    --json) json=yes ;;
    --quick) quick=yes ;;
    --no-build) build=no ;;
    --ahead) ahead=yes ;;
    --dir) [ -n "${2:-}" ] && DIR=$2 && taken=2 || fail "--dir wants a folder" ;;
    *) taken=0 ;;
  esac
}

build_programs() {
  [ "$build" = yes ] || return 0
  note "building the release preset"
  mkdir -p "$root/build"
  (cd "$root" && cmake --preset release && ninja -C build/release "$@") \
    >"$root/build/bench-build.log" 2>&1 || {
    tail -n 20 "$root/build/bench-build.log" >&2
    fail "the build failed (log: $root/build/bench-build.log)"
  }
}

need() { command -v "$1" >/dev/null || fail "no command $1: install the package $2"; }

# As the Unix user whose jobs these are, with nothing of root's environment but what is named.
as_job_user() {
  setpriv --reuid "$job_user" --regid "$(id -g "$job_user")" --init-groups --reset-env -- \
    env "PATH=$PATH" "SLURM_CONF=$SLURM_CONF" "KEZEK_ENDPOINT=$KEZEK_ENDPOINT" \
    "KEZEK_TOKEN=$token" "KEZEK_PROJECT=$project" "$@"
}

as_admin() { KEZEK_TOKEN=$(cat "$KEZEK_ADMIN_TOKEN_FILE") kezek "$@"; }

# What one benchmark has up besides, it takes down here.
before_down() { :; }

# With PostgreSQL up, and nothing else yet.
with_postgres() { :; }

# Ends what runs in Slurm, as slurmd leaves processes behind that nobody has ended: first all that
# could start more.
end_jobs() {
  local i
  "$deploy/kezekd" stop "$DIR" || true
  slurm_client 30 scontrol update PartitionName=gpu State=DOWN || true
  slurm_client 60 scancel --quiet --state=PENDING || true
  slurm_client 60 scancel --quiet --state=RUNNING || true
  for ((i = 0; i < 120; i++)); do
    [ "$(slurm_client 20 squeue -h -t R,CG | wc -l)" != 0 ] || return 0
    sleep 1
  done
  note "some jobs of Slurm's do not end"
}

# slurm_client SECONDS COMMAND ...: of whatever release it is.
slurm_client() { timeout "$1" "$deploy/slurm" run "$DIR" "${@:2}"; }

# cpu_of NAME ...: processor time so far of each server, in ms, as members of a JSON object.
cpu_of() {
  python3 - "$DIR" "$@" <<'PYTHON'
import os, sys
FILES = {"kezekd": "kezek/kezekd.pid", "slurmctld": "slurm/run/slurmctld.pid",
         "slurmdbd": "slurm/run/slurmdbd.pid", "slurmrestd": "slurm/run/slurmrestd.pid",
         "postgres": "postgres/data/postmaster.pid"}
tick = 1000 / os.sysconf("SC_CLK_TCK")
used = {}
for name in sys.argv[2:]:
    with open(os.path.join(sys.argv[1], FILES[name]), encoding="utf-8") as file:
        first = int(file.readline())
    # PostgreSQL's work is that of its children, past ones included.
    ids, used[name] = [first], 0
    if name == "postgres":
        with open(f"/proc/{first}/task/{first}/children", encoding="utf-8") as file:
            ids += [int(one) for one in file.read().split()]
    for one in ids:
        try:
            with open(f"/proc/{one}/stat", encoding="latin-1") as file:
                fields = file.read().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        used[name] += sum(map(int, fields[11:15 if one == first and len(ids) > 1 else 13])) * tick
print(", ".join(f'"{name}": {round(ms)}' for name, ms in used.items()))
PYTHON
}

server_sql() { PGOPTIONS='-c search_path=kezek' psql -qXAt -v ON_ERROR_STOP=1 -d kezek "$@"; }

seen() { PYTHONDONTWRITEBYTECODE=1 python3 "$here/following_drive.py" "$@"; }

metrics() {
  curl -s --max-time 20 -H "Authorization: Bearer $(cat "$KEZEK_ADMIN_TOKEN_FILE")" \
    "$KEZEK_HTTP/metrics"
}

# counters: requests to slurmrestd and processor time until now, one line of JSON.
counters() { metrics | seen counters "{$(cpu_of kezekd slurmctld slurmrestd slurmdbd postgres)}"; }

stack_down() {
  local status=$?
  trap - EXIT INT TERM
  {
    before_down || status=1
    "$deploy/kezekd" down "$DIR" --wipe || status=1
    # Without slurmctld nobody cancels thousands of held jobs one by one.
    "$deploy/slurm" stop "$DIR" slurmctld || true
    "$deploy/slurm" down "$DIR" --wipe || status=1  # its folder says what still runs
    "$deploy/postgres" down "$DIR" --wipe || status=1
    if [ $made_user = yes ]; then userdel "$job_user" || true; fi
  } >&2
  if [ $status = 0 ]; then rm -rf "$DIR"; else note "failed; logs in $DIR/log"; fi
  exit $status
}

# stack_up NODES: PostgreSQL, Slurm, kezekd, one project, one user of it, and its token in `token`.
stack_up() {
  [ "$(id -u)" = 0 ] || fail "needs root: Slurm's daemons start as root, kezekd as its own user"
  need psql postgresql-client
  need sbatch slurm-client
  DIR=${DIR:-$(mktemp -d "${TMPDIR:-/var/tmp}/kezek-bench.XXXXXX")}
  mkdir -p "$DIR/stamps"
  DIR=$(cd "$DIR" && pwd -P)
  chmod 755 "$DIR"
  chmod 1777 "$DIR/stamps"
  trap stack_down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # All that is measured, and its peers, inherit it: what else the machine does hardly counts.
  if [ $ahead = yes ]; then chrt --rr --pid 1 $$; fi
  note "starting PostgreSQL, Slurm and kezekd in $DIR"
  "$deploy/postgres" up "$DIR" >&2
  # shellcheck disable=SC1091
  . "$DIR/env"
  with_postgres >&2
  "$deploy/slurm" up "$DIR" --nodes "$1" "${slurm_options[@]}" >&2
  "$deploy/kezekd" up "$DIR" --bin "$bin" --conf 'limits: {calls_per_second: 0}' \
    "${kezekd_conf[@]}" >&2
  # shellcheck disable=SC1091
  . "$DIR/env"
  if ! getent passwd "$job_user" >/dev/null; then
    useradd --no-create-home --home-dir / --shell /usr/sbin/nologin \
      --comment 'made by the benchmarks of kezek' "$job_user"
    made_user=yes
  fi
  "$deploy/slurm" account "$DIR" bench >&2
  "$deploy/slurm" user "$DIR" "$job_user" bench >&2
  make_project >&2
}

make_project() {
  local path=${project%/*}
  as_admin admin account create "${path%/*}" --kind sector --reason benchmark
  as_admin admin account create "$path" --kind institution --reason benchmark
  as_admin admin account create "$project" --kind project --reason benchmark
  as_admin admin user create load@bench --unix "$job_user" --member-of "$project" \
    --role researcher
  token=$(as_admin admin token create --user load@bench --label benchmark)
}

# make_projects NAME ...: further ones beside it, of the same user.
make_projects() {
  local name
  for name in "$@"; do
    as_admin admin account create "${project%/*}/$name" --kind project --reason benchmark
    as_admin admin user add-member load@bench "${project%/*}/$name"
  done
}

# script_of BYTES [LINE]: a batch script of that size, LINE its first line after the shell's.
script_of() {
  python3 -c '
import sys
size, first = int(sys.argv[1]), sys.argv[2]
text = "#!/bin/bash\n" + first + ("\n" if first else "")
while len(text) < size: text += "echo line\n"
sys.stdout.write(text[:size - 1].rstrip("\n").ljust(size - 1, "#") + "\n")' "$1" "${2:-}"
}

# A JSON object of what the figures depend on.
machine_facts() {
  python3 "$here/machine.py" "$DIR" "$(git -C "$root" rev-parse --short HEAD 2>/dev/null || true)" \
    "$(slurm_client 20 sbatch --version 2>/dev/null || true)"
}
