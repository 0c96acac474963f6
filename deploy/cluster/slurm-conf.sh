# shellcheck shell=bash
# The configuration files of the private Slurm. Sourced by `slurm`, which sets DIR, S (its
# folder in DIR), nodes, gpus, cpus, memory, leaves, min_job_age, slices, node_width and extra_conf.
# shellcheck disable=SC2154

slice_type=h200-1g.18gb

# node_name I: the name of the I-th node, from 1.
node_name() { printf "n%0${node_width}d" "$1"; }

# node_range FIRST LAST: the host list of these nodes, as Slurm writes it.
node_range() {
  if [ "$1" = "$2" ]; then node_name "$1"; else
    printf "n[%0${node_width}d-%0${node_width}d]" "$1" "$2"
  fi
}

# leaf_range I: the host list under the I-th leaf switch; the nodes are dealt out evenly, in order.
leaf_range() {
  node_range $((($1 - 1) * nodes / leaves + 1)) $(($1 * nodes / leaves))
}

# port_range FIRST LAST: the ports of these nodes, as Slurm writes them.
port_range() {
  local port_first
  port_first=$(($(cat "$DIR/ports/slurmd") - 1))
  if [ "$1" = "$2" ]; then echo $((port_first + $1)); else
    echo "[$((port_first + $1))-$((port_first + $2))]"
  fi
}

# nodes_line HOST FIRST LAST [SETTINGS]
nodes_line() {
  echo "NodeName=$(node_range "$2" "$3") NodeAddr=127.0.0.1 NodeHostname=$1" \
    "Port=$(port_range "$2" "$3") ${4:-}"
}

# The last node alone, if some of it is cut into slices.
all_nodes() {
  if [ "$slices" = 0 ]; then nodes_line "$1" 1 "$nodes" && return; fi
  if [ "$nodes" -gt 1 ]; then nodes_line "$1" 1 $((nodes - 1)); fi
  nodes_line "$1" "$nodes" "$nodes" "Gres=gpu:h200:$((gpus - 1)),gpu:$slice_type:$slices"
}

slurm_conf() {
  local host=$1
  cat <<CONF
ClusterName=kezek
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(cat "$DIR/ports/slurmctld")
SlurmUser=slurm
SlurmdUser=root
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$S/munge/munge.sock
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=$S/etc/jwt_hs256.key
StateSaveLocation=$S/state
SlurmdSpoolDir=$S/spool/%n
SlurmctldPidFile=$S/run/slurmctld.pid
SlurmdPidFile=$S/run/slurmd.%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd.%n.log
SlurmctldDebug=info
SlurmdDebug=info
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
TopologyPlugin=topology/tree
ReturnToService=2
SlurmdParameters=config_overrides
include $S/etc/kezek.conf
${extra_conf:-}
MinJobAge=$min_job_age
MaxJobCount=50000
MaxArraySize=10001
KillWait=5
SlurmdTimeout=300
MessageTimeout=10
TreeWidth=65000
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$(cat "$DIR/ports/slurmdbd")
AccountingStoragePass=$S/munge/munge.sock
AccountingStorageTRES=gres/gpu,gres/gpu:h200$(if [ "$slices" -gt 0 ]; then
    echo ",gres/gpu:$slice_type"
  fi)
NodeName=DEFAULT CPUs=$cpus Sockets=2 CoresPerSocket=$((cpus / 2)) ThreadsPerCore=1
NodeName=DEFAULT RealMemory=$memory Gres=gpu:h200:$gpus State=UNKNOWN
$(all_nodes "$host")
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=01:00:00 State=UP \
OverSubscribe=NO DefMemPerCPU=1000
CONF
}

slurmdbd_conf() {
  cat <<CONF
AuthType=auth/munge
AuthInfo=$(dbd_auth_info "$S/munge/munge.sock")
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=$S/etc/jwt_hs256.key
CommunicationParameters=NoInAddrAny
DbdHost=$1
DbdAddr=127.0.0.1
DbdPort=$(cat "$DIR/ports/slurmdbd")
SlurmUser=slurm
PidFile=$S/run/slurmdbd.pid
LogFile=$DIR/log/slurmdbd.log
PrivateData=accounts,events,jobs,reservations,usage,users
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$(cat "$DIR/ports/mariadb")
StorageUser=slurm
StoragePass=$(cat "$S/mariadb.password")
StorageLoc=slurm_acct_db
CONF
}

# Slurm gives CUDA_VISIBLE_DEVICES only for device files. Clones of /dev/null will do; where mknod
# is not permitted, the terminals' devices, which nobody opens, stand in for them.
gres_conf() {
  local files=$S/dev/nvidia i
  for ((i = 0; i < gpus + slices; i++)); do
    if [ -c "$files$i" ]; then continue; fi
    rm -f "$files$i"
    if ! mknod -m 666 "$files$i" c 1 3 2>/dev/null; then
      [ -c "/dev/tty$i" ] || die "cannot make device files, and /dev/tty$i is not there instead"
      files=/dev/tty
    fi
  done
  echo AutoDetect=off
  if [ "$slices" = 0 ]; then
    gres_line "$(node_range 1 "$nodes")" h200 "${files}[0-$((gpus - 1))]"
    return
  fi
  if [ "$nodes" -gt 1 ]; then
    gres_line "$(node_range 1 $((nodes - 1)))" h200 "${files}[0-$((gpus - 1))]"
  fi
  gres_line "$(node_name "$nodes")" h200 "${files}[0-$((gpus - 2))]"
  gres_line "$(node_name "$nodes")" $slice_type "${files}[$gpus-$((gpus + slices - 1))]"
}

# gres_line NODES TYPE FILES
gres_line() { echo "NodeName=$1 Name=gpu Type=$2 File=$3 Flags=nvidia_gpu_env"; }

topology_conf() {
  local i
  for ((i = 1; i <= leaves; i++)); do echo "SwitchName=leaf$i Nodes=$(leaf_range "$i")"; done
  if [ "$leaves" -gt 1 ]; then echo "SwitchName=spine Switches=leaf[1-$leaves]"; fi
}

# leaf_yaml I NODES
leaf_yaml() { printf '  - name: leaf%s\n    block: spine\n    nodes: "%s"\n' "$1" "$2"; }

# The same for kezekd.
topology_yaml() {
  local i
  echo "node: {gpu_type: h200, gpus: $gpus, cpus: $cpus, memory_mib: $memory}"
  echo 'leaves:'
  for ((i = 1; i <= leaves; i++)); do
    if [ "$slices" = 0 ] || [ "$i" -lt "$leaves" ]; then leaf_yaml "$i" "$(leaf_range "$i")"; fi
  done
  if [ "$slices" = 0 ]; then return; fi
  i=$(((leaves - 1) * nodes / leaves + 1))
  if [ "$i" -lt "$nodes" ]; then leaf_yaml "$leaves" "$(node_range "$i" $((nodes - 1)))"; fi
  leaf_yaml "$leaves" "$(node_name "$nodes")"
  # Of the CPUs and the memory what the GPU would have had.
  echo "    gpus: $((gpus - 1))"
  echo "    cpus: $((cpus - cpus / gpus))"
  echo "    memory_mib: $((memory - memory / gpus))"
  echo "    parts: [{gpu_type: $slice_type, gpus: $slices, cpus: $((cpus / gpus)),"
  echo "             memory_mib: $((memory / gpus))}]"
}
