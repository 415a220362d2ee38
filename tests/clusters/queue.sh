#!/bin/sh
# Stands in for the commands of Grid Engine where there is none: jobs are real processes of this machine.
# It is called as qsub, qstat, qdel and qconf, and keeps the processes' numbers and what it was asked for in $QUEUE.
case $(basename "$0") in
  qsub)
    echo "$@" >> "$QUEUE/submitted"
    number=$(wc -l < "$QUEUE/submitted")
    for script; do :; done
    JOB_ID=$number setsid "$script" > "$QUEUE/$number.log" 2>&1 &
    echo $! > "$QUEUE/$number.pid"
    # A job is known from now on: its group is there a moment later, where it has not ended by then.
    while kill -0 $! 2>/dev/null && ! kill -0 "-$!" 2>/dev/null; do sleep 0.05; done
    echo "$number" ;;
  qstat) # -j NUMBER
    echo "$2" >> "$QUEUE/asked"
    [ ! -e "$QUEUE/away" ] || { echo "error: commlib error: got select error" >&2; exit 1; }
    kill -0 "-$(cat "$QUEUE/$2.pid")" 2>/dev/null || { echo "Following jobs do not exist: $2" >&2; exit 1; } ;;
  qdel) for number; do kill -9 "-$(cat "$QUEUE/$number.pid")"; echo "$number" >> "$QUEUE/cancelled"; done ;;
esac
