#!/bin/sh
# What became of a job of SGE, PBS or LSF: `running` (also while it waits), `success` or `failed`.
#
#   status.sh NUMBER
#
# A job leaves its exit status in .snakemake/cluster/NUMBER (jobscript.sh). One without that file that the queue does
# not know any more was cancelled or killed; it is called failed a minute later, since network disks show files late. A
# queue that gives no answer says nothing: the job is taken to run.
ended=.snakemake/cluster/$1 gone=.snakemake/cluster/$1.gone
case $1 in '' | None) echo failed; exit ;; esac # never submitted

exit_if_told() {
  [ -s "$ended" ] || return
  [ "$(cat "$ended")" = 0 ] && echo success || echo failed
  rm -f "$gone"
  exit
}
exit_if_told

if command -v bjobs >/dev/null; then answer=$(bjobs -noheader -o stat "$1" 2>&1)
elif command -v qconf >/dev/null; then answer=$(qstat -j "$1" 2>&1)
else answer=$(qstat "$1" 2>&1); fi
answered=$?

# SGE, PBS and Torque (unknown, or kept as finished), LSF (unknown, or kept as finished).
if echo "$answer" | grep -qiE 'do not exist|unknown job|has finished|is not found|^(DONE|EXIT)$| C [^ ]+ *$'; then
  exit_if_told # it may have ended since the first look
  mkdir -p .snakemake/cluster
  [ -e "$gone" ] || : > "$gone"
  [ -z "$(find "$gone" -mmin +"${NEUROSCALING_GONE_MINUTES:-1}")" ] || { echo failed; exit; }
elif [ $answered = 0 ]; then
  rm -f "$gone" # the queue had lost it for a moment, as after its own restart
fi
echo running
