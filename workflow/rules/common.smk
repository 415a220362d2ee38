# What the rules share: the study, its targets, and what params, resources and environments are made of.
import functools
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError

# Snakemake puts the path of its interpreter into shell commands as it is, which a clone in a folder with a space breaks.
INTERPRETER = (
    shlex.split(sys.executable)[0] if sys.executable[:1] == "'" else sys.executable
)
sys.executable = shlex.quote(INTERPRETER)
RULES = Path(str(workflow.current_basedir))
SOURCE = RULES.parents[1] / "src"
if SOURCE.is_dir():
    sys.path.insert(0, str(SOURCE))
    os.environ.update(
        PYTHONPATH=os.pathsep.join(
            filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")])
        )
    )

from neuroscaling.study import wanted
from neuroscaling.study import layer_choice
from neuroscaling.study.recordings import v4_files, v4_root
from neuroscaling.study.code_fingerprints import code_fingerprint
from neuroscaling.study.session import named_study
from neuroscaling.core.errors import NeuroscalingError, StudyError
from neuroscaling.core.hashing import canonical_json
from neuroscaling.core.records import RUN_RECORD
from neuroscaling.study.paths import brace_problems, quote_problems
from neuroscaling.study.session import wait_for_earlier
from neuroscaling.study import session
from neuroscaling.study.wanted import Absent
from neuroscaling.study.code_fingerprints import code_of
from neuroscaling.study.wanted import Inventory
from neuroscaling.study.jobs import Jobs
from neuroscaling.study.loaded_study import load_study

try:
    # `--config planning=true`: a dry run of a study whose images are not here yet.
    STUDY = load_study(named_study(config), planning=bool(config.get("planning")))
    if found := [
        *brace_problems({"clone": RULES.parents[1]}),
        *layer_choice.choice_problems(STUDY),
    ]:
        raise StudyError(found)
    TARGETS = wanted.Targets(STUDY)
    # `--config whole=true`: for the graph of the rules, as if nothing were there.
    WHOLE = bool(config.get("whole"))
    ABSENT = Absent(TARGETS, Inventory(STUDY.store, empty=WHOLE))
    if workflow.is_main_process and not WHOLE:
        if not session.is_locked() and submits_to_slurm():
            wait_for_earlier(Path.cwd())
        session.begin_session(ABSENT)
except NeuroscalingError as error:
    raise WorkflowError(
        f"The study can't be run.\n\n{error}\n\n{len(error.problems)} problem(s); nothing was started. "
        "`neuroscaling check STUDY` looks at the images and builds the networks too."
    )

STORE = STUDY.store
ASKED = Jobs(ABSENT)
JOBS, SUBJECTS = TARGETS.names.jobs, TARGETS.names.subjects
SETS, RUNS, FITS = TARGETS.sets, STUDY.runs, STUDY.fits
# What the jobs of the store declare: markers of this start. Of the store itself Snakemake knows nothing, and so deletes
# nothing: an artefact that is there belongs to no job, and an absent one is asked for by its marker.
MADE = session.markers_folder(STUDY.config.study)
# One rule for every run, or one rule for each pack of runs.
PACKS = wanted.packs(STUDY) if STUDY.config.pack > 1 else [None]
NETWORK_PACKS = [
    pack for pack in PACKS if pack is None or RUNS[pack.runs[0]].kind != "baseline"
]
RESULTS = STUDY.results.root
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
}
config["extraction"] = STUDY.config.extraction.operating()


wildcard_constraints:
    run=r"[A-Za-z0-9._-]+-[0-9a-f]{8}",
    dataset=r"[A-Za-z0-9.-]+-[0-9a-f]{8}",
    subset=r"[pnc]?[a-z0-9]+-s\d+-[0-9a-f]{8}",
    form=r"jpeg|decoded",
    size=r"\d+|originals",
    split=r"train|validation",
    brain=r"simulated-[A-Za-z0-9.-]+",
    set=r"[A-Za-z0-9.-]+",
    nsd=r"nsd-[0-9a-f]{8}",
    data=r"v4-[A-Za-z0-9]+-[0-9a-f]{8}",
    subject=r"subj\d+",
    submission=r"[A-Za-z0-9.-]+",
    session=r"[A-Za-z0-9]+",
    name=r"[a-z_]+\.csv",
    fit=r"[A-Za-z0-9_.-]+",
    slice=r"\d+",


def marker(path):
    """The marker of what is written to `path` in the store."""
    return MADE / STORE.name_of(Path(path))


def made(*paths):
    """Markers of those of `paths` that are absent: what a job has to wait for."""
    return [marker(path) for path in dict.fromkeys(paths) if ABSENT(path)]


@functools.cache
def code(script):
    """Fingerprint of a script and of the library behind it: what makes the study's own files stale."""
    return code_fingerprint(RULES.parent / "scripts" / f"{script}.py")


def python(environment):
    """The interpreter of an environment that `make env` built, or that is named.

    For the config and not for params: a checkout that moves must not make results stale.
    """
    path = config.get("pythons", {}).get(environment) or os.environ.get(
        f"NEUROSCALING_{environment.upper()}_PYTHON"
    )
    path = (
        Path(path)
        if path
        else RULES.parents[1] / ".venv" / environment / "bin" / "python"
    )
    if not path.exists():
        raise WorkflowError(
            f"The interpreter of the environment `{environment}` is missing: {path}\n"
            "Run `make env`, or use conda (snakemake --sdm conda), or name it: --config "
            f"pythons='{{{environment}: /path/to/python}}'"
        )
    return str(path)


def uses_conda():
    return "conda" in {
        str(m).rsplit(".", 1)[-1].lower()
        for m in workflow.deployment_settings.deployment_method
    }


def gpus_of(wildcards):
    """GPUs for training a run: one, and none for what has nothing to compute there."""
    return int(RUNS[wildcards.run].kind in ("trained", "pretrained"))


def rule_name(stage, pack):
    """Name of a stage's rule; those of packs are numbered."""
    return stage if pack is None else f"{stage}_{PACKS.index(pack) + 1}"


def label_of(pack):
    """What logs and benchmarks are called: by the run, or by the pack."""
    return "{run}" if pack is None else pack.name


def for_runs(path, pack):
    """`path` with the wildcard {run}, or one path for each run of a pack."""
    return (
        [path]
        if pack is None
        else [Path(str(path).replace("{run}", run)) for run in pack.runs]
    )


def title_of(pack):
    """Which runs a job's message names."""
    return (
        "{wildcards.run}"
        if pack is None
        else f"{len(pack.runs)} networks ({pack.name})"
    )


def gpus_for(pack):
    """GPUs of a job: one where any of its runs needs one."""

    def of_job(wildcards):
        runs = [wildcards.run] if pack is None else pack.runs
        return max(gpus_of(SimpleNamespace(run=run)) for run in runs)

    return of_job


def resources_of(rule, pack, **asked):
    """What a job asks for, and in place of it what `set-resources` of a profile says of `rule`.

    Snakemake itself sees to `rule`, but not to those of packs, whose names no profile can know.
    """
    given = (
        {}
        if pack is None
        else workflow.resource_settings.overwrite_resources.get(rule, {})
    )
    return asked | {name: given_for(value, pack) for name, value in given.items()}


def given_for(resource, pack):
    """A profile's resource; an expression sees the first run of the pack that needs a GPU as `wildcards.run`."""
    first = SimpleNamespace(
        run=max(pack.runs, key=lambda run: gpus_of(SimpleNamespace(run=run)))
    )

    def value(wildcards, **known):
        return resource.evaluate(first, **known).value

    return value


def with_now(markers):
    """`markers`, and where there are any the file that makes stale what is made of absent things."""
    return [*markers, session.session_marker(STUDY.config.study)] if markers else []


def runs_of(wildcards, pack):
    """The runs of a job: the one of its wildcards, or those of its pack."""
    return [RUNS[run] for run in ([wildcards.run] if pack is None else pack.runs)]


def labelled(packs):
    """What the jobs of runs are called, by the run or by the pack, and their runs."""
    for pack in packs:
        if pack is not None:
            yield pack.name, [RUNS[run] for run in pack.runs]
        else:
            yield from ((name, [run]) for name, run in RUNS.items())


def stimuli_job(wildcards):
    """The stimulus set that a job prepares."""
    return ASKED.stimuli(SETS[wildcards.set])


def simulated_job(wildcards):
    """The simulated brain that a job makes."""
    return ASKED.simulated(wildcards.brain)


def extracted(pairs):
    """Markers of those activations that are to be extracted, of pairs of a run and a stimulus set by name."""
    wanted = [pair for pair in dict.fromkeys(pairs) if pair in ABSENT.activations]
    return [MADE / f"activations/{run}/{stimuli}" for run, stimuli in wanted]


def stimuli_needs(wildcards):
    """What a stimulus set is made from, where a rule of ours makes it."""
    return made(*SETS[wildcards.set].needs)


def v4_needs(wildcards):
    """Downloaded files of a V4 session."""
    return made(*v4_files(STUDY, wildcards.session))


def fit_of(wildcards):
    """Settings of a fit, keys in a fixed order: writing them in another order makes no fit stale."""
    return json.loads(canonical_json(FITS[wildcards.fit].settings))


def memory(megabytes):
    """Memory that grows with each attempt."""

    def mem_mb(wildcards, attempt):
        return megabytes * attempt

    return mem_mb


def minutes(minutes):
    """A time limit that grows with each attempt."""

    def runtime(wildcards, attempt):
        return minutes * attempt

    return runtime


onstart:
    PLACES = {
        "clone": RULES.parents[1],
        "working directory": Path.cwd(),
        "study file": config["study"],
        **{f"store {i}": folder for i, folder in enumerate(STORE.folders)},
    }
    if workflow.non_local_exec and (found := list(quote_problems(PLACES))):
        raise WorkflowError(str(StudyError(found)))
    subprocess.run(
        [INTERPRETER, "-m", "neuroscaling.cli.main", "check", config["study"]],
        check=True,
    )
    write_jobs(FROZEN, TRAIN_JOBS)


onsuccess:
    session.end_session(STUDY.results)
