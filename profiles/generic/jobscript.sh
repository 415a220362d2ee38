#!/bin/sh
# properties = {properties}
# The end of a job is told by a file of its number: queueing systems forget, each after another time. status.sh reads it.
number=${{JOB_ID:-${{PBS_JOBID:-$LSB_JOBID}}}}
trap 'status=$?; mkdir -p .snakemake/cluster; echo $status > ".snakemake/cluster/$number"' EXIT
trap 'exit 143' HUP INT TERM
{exec_job}
