#!/usr/bin/env bash
# Bring up a throw-away Slurm cluster on this machine, for tests: three node daemons on one host, no accounting.
# It runs as root and links its configuration into /etc/slurm, so it is for containers and machines without a Slurm.
#
#   start.sh LAB_DIR
#
# Settings (environment):
#   GPU_FILES=a,b     two character devices that stand for the GPUs of a node (default: made with mknod, and where that
#                     is refused /dev/null,/dev/zero)
#   SLURMDTIMEOUT=20  seconds until a silent node is marked down
#
# Nodes: gpu1, gpu2 (2 fake GPUs each), cpu1. Partitions: cpu (default), gpu; spare and scrap on cpu1,
# whose jobs those of cpu preempt: requeued, cancelled. Stop it with stop.sh LAB_DIR.
set -euo pipefail
LAB=${1:?usage: start.sh LAB_DIR}
SLURMDTIMEOUT=${SLURMDTIMEOUT:-20}
CTLD_PORT=16817 SLURMD_PORT=17001                     # slurmd: three ports from this one
MUNGE_DIR=/run/munge
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
HOST=$(hostname -s)

die() { echo "start.sh: $*" >&2; exit 1; }

wait_for() { # SECONDS COMMAND...: poll until the command succeeds
  local n=$(( $1 * 10 )); shift
  for _ in $(seq "$n"); do timeout 60 "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
  echo "start.sh: timeout waiting for: $*" >&2; tail -n 5 "$LAB"/log/*.log >&2; return 1
}

[ "$(id -u)" = 0 ] || die "must run as root"
for c in munged slurmctld slurmd; do command -v "$c" >/dev/null || die "$c not found: apt-get install slurm-wlm munge"; done

# The links of a cluster whose test run was killed are ours to clear; any other configuration is not.
old=$(readlink /etc/slurm/slurm.conf 2>/dev/null || true)
if [ -n "$old" ] && [ "$(basename "$(dirname "$old")")" = neuroscaling-slurm ]; then "$HERE/stop.sh" "$(dirname "$old")"; fi
for f in slurm.conf gres.conf; do
  [ ! -e "/etc/slurm/$f" ] && [ ! -L "/etc/slurm/$f" ] || die "/etc/slurm/$f exists: this machine has a Slurm of its own"
done
if [ -S "$MUNGE_DIR/munge.socket.2" ] && munge -n >/dev/null 2>&1; then die "a munged is already running on $MUNGE_DIR"; fi

mkdir -p "$LAB"/{munge,ctld,log,run,dev}
LAB=$(cd "$LAB" && pwd)
chmod 755 "$LAB"
trap '[ $? = 0 ] || "$HERE/stop.sh" "$LAB" >&2' EXIT  # a start that fails leaves nothing behind

# ---- munge: the default socket, because Snakemake's job step drops the variables that would name another --------------
chown root:root "$LAB/munge"; chmod 711 "$LAB/munge"
(umask 077; dd if=/dev/urandom of="$LAB/munge/munge.key" bs=1024 count=1 status=none)
if [ -d "$MUNGE_DIR" ]; then stat -c '%u:%g %a' "$MUNGE_DIR" > "$LAB/run/munge-dir.before"
else echo none > "$LAB/run/munge-dir.before"; mkdir -p "$MUNGE_DIR"; fi
chown root:root "$MUNGE_DIR"; chmod 755 "$MUNGE_DIR"
munged --force --key-file="$LAB/munge/munge.key" --socket="$MUNGE_DIR/munge.socket.2" --num-threads=4 \
  --pid-file="$LAB/run/munged.pid" --log-file="$LAB/log/munged.log" --seed-file="$LAB/munge/munged.seed"
wait_for 120 munge -n

# ---- fake GPUs: character devices; with regular files they count, but CUDA_VISIBLE_DEVICES stays unset ----------------
make_gpus() { # NODE
  mkdir -p "$LAB/dev/$1"
  mknod "$LAB/dev/$1/nvidia0" c 195 0 2>/dev/null && mknod "$LAB/dev/$1/nvidia1" c 195 1 2>/dev/null
}
if [ -z "${GPU_FILES:-}" ] && ! { make_gpus gpu1 && make_gpus gpu2; }; then GPU_FILES=/dev/null,/dev/zero; fi
gpu_files() { echo "${GPU_FILES:-$LAB/dev/$1/nvidia[0-1]}"; } # NODE

# ---- configuration -------------------------------------------------------------------------------------------------
cat > "$LAB/slurm.conf" <<CONF
ClusterName=lab
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$CTLD_PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
MpiDefault=none
SlurmctldPidFile=$LAB/run/slurmctld.pid
SlurmdPidFile=$LAB/run/slurmd-%n.pid
SlurmctldLogFile=$LAB/log/slurmctld.log
SlurmdLogFile=$LAB/log/slurmd-%n.log
StateSaveLocation=$LAB/ctld
SlurmdSpoolDir=$LAB/spool-%n
SwitchType=switch/none
# No cgroups: memory is polled each second, and a job over its limit ends as FAILED instead of OUT_OF_MEMORY.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=OverMemoryKill
JobAcctGatherFrequency=task=1
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
# Tests read the records of all jobs at the end.
MinJobAge=3600
KillWait=3
SlurmctldTimeout=10
SlurmdTimeout=$SLURMDTIMEOUT
TCPTimeout=5
MessageTimeout=10
PropagateResourceLimits=NONE
# Nodes may claim more CPUs than the machine has.
SlurmdParameters=config_overrides
GresTypes=gpu
AccountingStorageType=accounting_storage/none
DefMemPerCPU=512
NodeName=gpu1 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$SLURMD_PORT CPUs=4 RealMemory=32000 Gres=gpu:h200:2 Feature=h200
NodeName=gpu2 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((SLURMD_PORT + 1)) CPUs=4 RealMemory=32000 Gres=gpu:a100:2 Feature=a100,nvlink
NodeName=cpu1 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((SLURMD_PORT + 2)) CPUs=4 RealMemory=64000 Feature=cpu
PartitionName=cpu Nodes=cpu1 Default=YES MaxTime=2-0 DefaultTime=10 State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=gpu Nodes=gpu[1-2] MaxTime=2-0 DefaultTime=10 State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=spare Nodes=cpu1 MaxTime=1-0 DefaultTime=10 State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=scrap Nodes=cpu1 MaxTime=1-0 DefaultTime=10 State=UP PriorityTier=1 PreemptMode=CANCEL
CONF
cat > "$LAB/gres.conf" <<CONF
NodeName=gpu1 Name=gpu Type=h200 File=$(gpu_files gpu1)
NodeName=gpu2 Name=gpu Type=a100 File=$(gpu_files gpu2)
CONF
# At the default place, because Snakemake's job step drops SLURM_CONF before its inner srun. stop.sh removes the links.
if [ ! -d /etc/slurm ]; then mkdir /etc/slurm; : > "$LAB/run/etc-slurm.created"; fi
for f in slurm.conf gres.conf; do ln -s "$LAB/$f" "/etc/slurm/$f"; done

# ---- daemons -------------------------------------------------------------------------------------------------------
slurmctld
for node in gpu1 gpu2 cpu1; do mkdir -p "$LAB/spool-$node"; slurmd -N "$node"; done
wait_for 300 bash -c '[ "$(sinfo -h -N -t idle,mixed,alloc -o %N | sort -u | wc -l)" = 3 ]'
sinfo
