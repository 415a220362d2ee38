# What the rules share: the study, what its jobs ask for, and what params, resources and environments are made of.
import functools
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from snakemake.exceptions import WorkflowError

from neuroscaling.campaign import notify
from neuroscaling.core.errors import NeuroscalingError, StudyError
from neuroscaling.core.hashing import canonical_json
from neuroscaling.core.installation import IN_IMAGE, PIPELINE, interpreter
from neuroscaling.planning import training_time
from neuroscaling.planning.job_groups import job_groups
from neuroscaling.planning.job_resources import Asked
from neuroscaling.study import (
    driver_lock,
    executor_choice,
    layer_choice,
    session,
    slurm_queue,
    wanted,
)
from neuroscaling.study.benchmark_names import benchmark_files
from neuroscaling.study.code_fingerprints import code_fingerprint, code_of
from neuroscaling.study.job_parts import PART
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.optional_datasets import read_left_out, write_left_out
from neuroscaling.study.paths import brace_problems, quote_problems
from neuroscaling.study.rules import (
    AFTER_TRAINING,
    Rules,
    dataset_name,
)
from neuroscaling.study.run_groups import needs_gpu


def submits(name):
    """Whether jobs of the study go to a cluster, by the driver's command line; jobs read what the driver chose."""
    kept = executor_choice.choice_file(name)
    if not workflow.is_main_process:
        return executor_choice.read_choice(kept)
    on_cluster = executor_choice.is_cluster(executor_named())
    if executor_started():
        executor_choice.write_choice(kept, on_cluster)
    return on_cluster


def decided(name):
    """What the driver left out of the study: its jobs look for no images of their own, which a node may lack."""
    if workflow.is_main_process and not config.get("whole"):
        return None
    return read_left_out(session.left_out_file(name))


try:
    # `--config planning=true`: a dry run of a study whose images are not here yet.
    STUDY = load_study(
        session.named_study(config),
        planning=bool(config.get("planning")),
        decided=decided,
    )
    if found := [
        *brace_problems({"clone": PIPELINE, "working directory": Path.cwd()}),
        *layer_choice.choice_problems(STUDY),
    ]:
        raise StudyError(found)
    TOLD = notify.Hooks(config.get("notify"), STUDY, str(config["study"]))
    TARGETS = wanted.Targets(STUDY)
    # `--config whole=true`: for the graph of the rules, as if nothing were there.
    WHOLE = bool(config.get("whole"))
    ABSENT = wanted.Absent(TARGETS, wanted.Inventory(STUDY.store, empty=WHOLE))
    if workflow.is_main_process and not WHOLE:
        if executor_started() and (note := driver_lock.take_folder()):
            print(note, file=sys.stderr)
        if not session.is_locked() and submits_to_slurm():
            slurm_queue.wait_for_earlier(Path.cwd())
        session.begin_session(ABSENT)
        for note in STUDY.left_out_notes():
            print(note, file=sys.stderr)
    GROUPS = job_groups(ABSENT, submits(STUDY.config.study))
except NeuroscalingError as error:
    raise WorkflowError(
        f"The study can't be run.\n\n{error}\n\n{len(error.problems)} problem(s); nothing was started. "
        "`neuroscaling check STUDY` looks at the images and builds the networks too."
    )

STORE, TRAINING = STUDY.store, STUDY.config.training
RESULTS = STUDY.results.root
ASK = Rules(ABSENT, GROUPS)
# What jobs ask for: computed when one is about to start.
ASKED = Asked(TARGETS)
# What the jobs of the store declare: markers of this start. Of the store itself Snakemake knows nothing, and so deletes
# nothing: an artefact that is there belongs to no job, and an absent one is asked for by its marker.
MADE = ASK.made
fingerprint = functools.cache(code_fingerprint)


wildcard_constraints:
    job=r"[A-Za-z0-9._-]+",
    run=r"[A-Za-z0-9._-]+-[0-9a-f]{8}",
    dataset=r"[A-Za-z0-9.-]+-[0-9a-f]{8}",
    form=r"jpeg|decoded",
    size=r"\d+|originals",
    split=r"train|validation",
    brain=r"simulated-[A-Za-z0-9.-]+",
    set=r"[A-Za-z0-9.-]+",
    part=PART,
    prepared=r"(?!v4-)[A-Za-z0-9-]+-[0-9a-f]{8}",
    data=r"v4-[A-Za-z0-9]+-[0-9a-f]{8}",
    subject=r"[A-Za-z0-9-]+",
    submission=r"[A-Za-z0-9.-]+",
    session=r"[A-Za-z0-9]+",
    name=r"[a-z_]+\.csv",
    fit=r"[A-Za-z0-9_.-]+",
    slice=r"\d+",


def code(script):
    """For params: fingerprint of a script and of the library behind it, which makes the study's own files stale."""
    path = RULES.parent / "scripts" / f"{script}.py"
    return lambda wildcards: fingerprint(path)


# Interpreters that a start needs. A dry run does without.
MISSING = []


def python(environment):
    """The interpreter of an environment that `make env` built, or that is named.

    For the config and not for params: a checkout that moves must not make results stale.
    """
    try:
        return str(interpreter(environment, config.get("pythons", {}).get(environment)))
    except NeuroscalingError as error:
        if not workflow.is_main_process:
            raise WorkflowError(str(error))
        MISSING.append(str(error))
        return ""


def deployed_by(method):
    """Whether `--sdm` names a method: conda or apptainer."""
    return method in {
        str(m).rsplit(".", 1)[-1].lower()
        for m in workflow.deployment_settings.deployment_method
    }


def brainscore_python():
    """The interpreter that scores; conda has started the scripts with it, and an image has its own."""
    if deployed_by("apptainer") and config.get("container"):
        return str(IN_IMAGE / ".venv/brainscore/bin/python")
    return "" if deployed_by("conda") else python("brainscore")


def fit_settings(name):
    """Settings of a fit, keys in a fixed order: writing them in another order makes no fit stale."""
    return json.loads(canonical_json(STUDY.fits[name].settings))


# Laws that one job fits at a time.
FIT_THREADS = max(1, min(len(STUDY.fits), 8))


def memory(megabytes):
    """Memory that grows with each attempt."""
    return lambda wildcards, attempt: megabytes * attempt


def minutes(minutes):
    """A time limit that grows with each attempt."""
    return lambda wildcards, attempt: minutes * attempt


# Where things lie on this machine: in the config and not in params, so that the study's own files don't become stale
# when a data set or the store is moved.
config["located"] = {
    "store": [str(folder) for folder in STORE.folders],
    "published": (
        str(STUDY.config.published.published_dir or "")
        if STUDY.config.published
        else ""
    ),
    "snakefile": str(workflow.main_snakefile),
    # Which files of seconds are this study's: other groups of runs change no result.
    "jobs": list(dict.fromkeys([*STUDY.runs, *GROUPS.to_score])),
    "files": benchmark_files(ASK),
    "encoding": {
        f"{job.data}/{job.benchmark}": job.located for job in TARGETS.names.subjects
    },
    "submissions": {
        name: next(
            str(job.folder) for job in TARGETS.names.subjects if job.entry is entry
        )
        for name, (entry, _) in ASK.submissions.items()
    },
}
# Not in params: where one fit is stale its rule asks for the job, and the others are left as they are.
config["located"]["fits"] = {
    "folder": str(RESULTS / "fits"),
    "settings": {name: fit_settings(name) for name in STUDY.fits},
    "code": fingerprint(RULES.parent / "scripts/fit.py"),
}
if TARGETS.names.jobs:
    config["located"]["brainscore"] = {
        "python": brainscore_python(),
        "scripts": str(RULES.parent / "scripts"),
        "root": str(STORE.brainscore()),
        "ceilings": str(STORE.ceilings()),
        "hang_seconds": STUDY.config.brainscore.hang_seconds,
        "folders": {job.data: str(job.folder) for job in TARGETS.names.jobs},
    }
config["extraction"] = STUDY.config.extraction.operating()
PACK_FOLDERS = {
    name: str(STORE.find(paths["train"]).parent)
    for name, paths in ASK.packed_datasets.items()
}
config["training"] = asdict(TRAINING.options(PACK_FOLDERS, STORE.cache()))


onstart:
    PLACES = {
        "clone": PIPELINE,
        "working directory": Path.cwd(),
        "study file": config["study"],
        **{f"store {i}": folder for i, folder in enumerate(STORE.folders)},
    }
    if workflow.non_local_exec and (found := list(quote_problems(PLACES))):
        raise WorkflowError(str(StudyError(found)))
    if MISSING:
        raise WorkflowError("\n".join(MISSING))
    subprocess.run(
        [INTERPRETER, "-m", "neuroscaling.cli.main", "check", config["study"]],
        check=True,
    )
    record_start()
    write_left_out(session.left_out_file(STUDY.config.study), STUDY.left_out)
    TOLD.began(log)


def and_record(hook):
    """A hook that writes down the start too."""

    def both(log):
        hook(log)
        record_start()

    return both


# Of a module Snakemake runs no hook. Its user's `onstart:`, where there is one, calls that of the module.
if workflow.modifier.is_module and workflow.modifier.rule_whitelist is None:
    workflow._onstart = and_record(workflow._onstart)


onsuccess:
    session.end_session(STUDY.results)
    TOLD.ended(log, 0)


onerror:
    TOLD.ended(log, 1)
