#!/usr/bin/env python3
"""Submit one job of Snakemake to SGE, PBS or LSF, and print its number.

    submit.py JOBSCRIPT

Snakemake calls it, by `cluster-generic-submit-cmd` in config.yaml. What the job asks for stands in the job script, as
JSON. The queueing system is the one whose commands are there; `queue_system` in config.yaml names another. Settings of
a site belong into config.yaml. Any Python 3.7 or later runs this file, and it needs no package.
"""

import json
import os
import re
import shutil
import subprocess
import sys

LOGS = ".snakemake/cluster_logs"
ENDED = ".snakemake/cluster"  # as jobscript.sh and status.sh name it


def properties(script):
    """What Snakemake says of a job: rule, wildcards, threads, resources."""
    with open(script, encoding="utf-8") as file:
        for line in file:
            if line.startswith("# properties = "):
                return json.loads(line[len("# properties = ") :])
    sys.exit("submit.py: " + script + " is no job script of Snakemake")


def system_here():
    """SGE's qsub knows `-terse`, and SGE has qconf, where PBS has qmgr."""
    for command, name in (("bsub", "lsf"), ("qconf", "sge"), ("qsub", "pbs")):
        if shutil.which(command):
            return name
    sys.exit("submit.py: none of bsub (LSF), qconf (SGE) and qsub (PBS) is on PATH: is this a login node?")


def sge(job):
    """Options of qsub of SGE. Memory is asked for by slot, as SGE counts what is consumed."""
    asked = job["resources"]
    nodes, environment = asked.get("nodes", 1), asked.get("sge_parallel_environment", "smp")
    slots = job["threads"] * nodes
    if nodes > 1:
        environment = asked.get("sge_nodes_environment") or sys.exit(
            "submit.py: several nodes for a training need `sge_nodes_environment` in config.yaml: a parallel "
            "environment that gives each node as many slots as `train` has threads (`qconf -sp NAME`, allocation_rule)"
        )
    wanted = [
        "{}={}M".format(asked.get("sge_memory", "mem_free"), -(-asked["mem_mb"] // job["threads"])),
        "h_rt=0:{}:0".format(asked["runtime"]),
    ]
    wanted += ["{}={}".format(asked.get("sge_gpu", "gpu"), asked["gpu"] // nodes)] if asked.get("gpu") else []
    options = ["qsub", "-terse", "-cwd", "-V", "-S", "/bin/sh", "-r", "n", "-j", "y", "-o", LOGS]
    options += ["-N", job["name"], "-l", ",".join(wanted)]
    options += ["-pe", environment, str(slots)] if slots > 1 else []
    options += ["-q", asked["queue"]] if asked.get("queue") else []
    return options + (["-P", asked["account"]] if asked.get("account") else [])


def pbs(job):
    """Options of qsub of PBS Pro and OpenPBS; of Torque, which has `nodes` in place of `select`, where asked."""
    asked = job["resources"]
    nodes = asked.get("nodes", 1)
    threads, gpus, memory = job["threads"], asked.get("gpu", 0) // nodes, asked["mem_mb"]
    walltime = clock(asked["runtime"])
    options = ["qsub", "-V", "-S", "/bin/sh", "-r", "n", "-j", "oe", "-o", LOGS + "/", "-N", job["name"]]
    if asked.get("queue_system") == "torque":
        # Torque's memory is that of the whole job.
        each = f"nodes={nodes}:ppn={threads}" + (f":gpus={gpus}" if gpus else "")
        options += ["-l", f"{each},mem={memory * nodes}mb,walltime={walltime}"]
    else:
        select = f"select={nodes}:ncpus={threads}:mem={memory}mb" + (f":ngpus={gpus}" if gpus else "")
        # Each node is another host.
        options += ["-l", select, *(["-l", "place=scatter"] if nodes > 1 else []), "-l", "walltime=" + walltime]
    options += ["-q", asked["queue"]] if asked.get("queue") else []
    return options + (["-A", asked["account"]] if asked.get("account") else [])


def lsf(job):
    """Options of bsub of LSF. Memory is in MB, where lsf.conf's LSF_UNIT_FOR_LIMITS says so, as most sites do."""
    asked = job["resources"]
    nodes, threads = asked.get("nodes", 1), job["threads"]
    span = "span[hosts=1]" if nodes == 1 else f"span[ptile={threads}]"
    options = ["bsub", "-J", job["name"], "-n", str(threads * nodes), "-R", span, "-rn"]
    options += ["-R", "rusage[mem={}]".format(asked["mem_mb"]), "-W", str(asked["runtime"])]
    options += ["-o", LOGS + "/" + job["name"] + ".%J"]
    options += ["-gpu", "num={}".format(asked["gpu"] // nodes)] if asked.get("gpu") else []
    options += ["-q", asked["queue"]] if asked.get("queue") else []
    return options + (["-P", asked["account"]] if asked.get("account") else [])


def clock(minutes):
    """A time as hours, minutes, seconds."""
    return "{}:{:02d}:00".format(*divmod(minutes, 60))


def forget_namesake(number, script):
    """Numbers begin anew some day: what is told of this one before the job was written is of another job."""
    for path in (os.path.join(ENDED, number), os.path.join(ENDED, number + ".gone")):
        if os.path.exists(path) and os.path.getmtime(path) < os.path.getmtime(script):
            os.remove(path)


def main():
    """Submit the job script that is named, and print the number of the job."""
    script = sys.argv[1]
    job = properties(script)
    # What is submitted together as a group has a type and no rule. Names of SGE begin with a letter.
    job["name"] = "neuroscaling." + job.get("rule", "group")
    system = job["resources"].get("queue_system") or system_here()
    options = {"sge": sge, "pbs": pbs, "torque": pbs, "lsf": lsf}[system](job)
    os.makedirs(LOGS, exist_ok=True)
    extra = job["resources"].get("extra", "").split()
    done = subprocess.run([*options, *extra, script], stdout=subprocess.PIPE, text=True)
    number = re.search(r"<(\d+)>" if system == "lsf" else r"^(\d+\S*)", done.stdout, re.M)
    if done.returncode or not number:
        sys.exit("submit.py: not submitted: {} {}\n{}".format(" ".join(options), " ".join(extra), done.stdout))
    forget_namesake(number.group(1), script)
    print(number.group(1))


if __name__ == "__main__":
    main()
