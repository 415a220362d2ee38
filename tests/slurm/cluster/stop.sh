#!/usr/bin/env bash
# Stop the cluster of start.sh and delete its folder: only processes whose pid it recorded, only links into its folder.
#
#   stop.sh LAB_DIR
set -uo pipefail
LAB=${1:?usage: stop.sh LAB_DIR}
MUNGE_DIR=/run/munge
pid_of() { tr -dc 0-9 2>/dev/null < "$1"; }           # PIDFILE
running() { # PIDFILE: is that process there, one of ours, and no zombie that waits for its parent
  local pid
  [ -s "$1" ] && pid=$(pid_of "$1") && grep -qxE 'munged|slurmctld|slurmd' "/proc/$pid/comm" 2>/dev/null \
    && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null
}
stop() { # PIDFILE...: end these processes, gently for 5 s
  local file
  for file; do if running "$file"; then kill "$(pid_of "$file")" 2>/dev/null; fi; done
  for file; do
    for _ in $(seq 50); do running "$file" || break; sleep 0.1; done
    if running "$file"; then kill -9 "$(pid_of "$file")" 2>/dev/null; fi
  done
}

if running "$LAB/run/slurmctld.pid"; then             # let the job steps end before their slurmd does
  timeout 10 scancel -u "$(id -un)" 2>/dev/null
  for _ in $(seq 50); do
    [ -n "$(timeout 5 squeue -h -t running,completing 2>/dev/null)" ] || break; sleep 0.2
  done
fi
stop "$LAB"/run/{slurmd-gpu1,slurmd-gpu2,slurmd-cpu1,slurmctld}.pid
stop "$LAB/run/munged.pid"

for f in slurm.conf gres.conf; do
  if [ "$(readlink "/etc/slurm/$f" 2>/dev/null)" = "$LAB/$f" ]; then rm -f "/etc/slurm/$f"; fi
done
if [ -e "$LAB/run/etc-slurm.created" ]; then rmdir /etc/slurm 2>/dev/null; fi
if [ -s "$LAB/run/munge-dir.before" ]; then           # give the directory back as it was found
  read -r owner mode < "$LAB/run/munge-dir.before"
  if [ "$owner" = none ]; then rm -f "$MUNGE_DIR"/munge.socket.2*; rmdir "$MUNGE_DIR" 2>/dev/null
  elif [ -d "$MUNGE_DIR" ]; then chown "$owner" "$MUNGE_DIR"; chmod "$mode" "$MUNGE_DIR"; fi
fi
rm -rf "$LAB"
exit 0
