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

from neuroscaling import targets
from neuroscaling.brainscore import choice
from neuroscaling.brainscore.targets import brainscore_jobs
from neuroscaling.code import code_fingerprint
from neuroscaling.config.options import named_study
from neuroscaling.encoding.targets import encoding_jobs
from neuroscaling.errors import NeuroscalingError, StudyError
from neuroscaling.hashing import canonical_json
from neuroscaling.paths import brace_problems, quote_problems
from neuroscaling.study import load_study

try:
    # `--config planning=true`: a dry run of a study whose images are not here yet.
    STUDY = load_study(named_study(config), planning=bool(config.get("planning")))
    if found := [
        *brace_problems({"clone": RULES.parents[1]}),
        *choice.choice_problems(STUDY),
    ]:
        raise StudyError(found)
    JOBS = brainscore_jobs(STUDY)
    SUBJECTS = encoding_jobs(STUDY)
    SETS = targets.stimulus_sets(STUDY)
    SCORES = targets.scores(STUDY)
    RUNS, FITS = STUDY.runs, STUDY.fits
except NeuroscalingError as error:
    raise WorkflowError(
        f"The study can't be run.\n\n{error}\n\n{len(error.problems)} problem(s); nothing was started. "
        "`neuroscaling check STUDY` looks at the images and builds the networks too."
    )

STORE = STUDY.config.store
# One rule for every run, or one rule for each pack of runs.
PACKS = targets.packs(STUDY) if STUDY.config.pack > 1 else [None]
NETWORK_PACKS = [
    pack for pack in PACKS if pack is None or RUNS[pack.runs[0]].kind != "baseline"
]
RESULTS = STUDY.results.root
# Where things lie on this machine. Scripts read it from the config and not from params: moving a data set must
# not make a result stale.
config["runs"] = {name: run.settings() for name, run in RUNS.items()}
config["located"] = {
    "datasets": {
        name: d.model_dump(mode="json") for name, d in STUDY.config.datasets.items()
    },
    "weights": {name: run.weights for name, run in RUNS.items() if run.weights},
    "stimuli": {name: list(s.sources) for name, s in SETS.items()},
    "encoding": {f"{s.data}/{s.benchmark}": s.located for s in SUBJECTS},
    "published": (
        str(STUDY.config.published.published_dir or "")
        if STUDY.config.published
        else ""
    ),
    "v4": str(STUDY.v4_dir or STUDY.store.v4()),
    "snakefile": str(workflow.main_snakefile),
}


config["extraction"] = STUDY.config.extraction.operating()


wildcard_constraints:
    run=r"[A-Za-z0-9._-]+-[0-9a-f]{8}",
    dataset=r"[A-Za-z0-9.-]+-[0-9a-f]{8}",
    samples=r"[pnc]?\d+|all",
    form=r"jpeg|decoded",
    size=r"\d+|originals",
    split=r"train|validation",
    seed=r"\d+",
    brain=r"simulated-[A-Za-z0-9.-]+",
    set=r"[A-Za-z0-9.-]+",
    nsd=r"nsd-[0-9a-f]{8}",
    subject=r"subj\d+",
    submission=r"[A-Za-z0-9.-]+",
    session=r"[A-Za-z0-9]+",
    name=r"[a-z_]+\.csv",
    fit=r"[A-Za-z0-9_.-]+",
    slice=r"\d+",


@functools.cache
def code(script):
    """Fingerprint of a script and of the library behind it: what makes a job stale when a formula changes."""
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


def of_first_run(function, pack):
    """`function` of the run's wildcards; for a pack, of its first run (all have one architecture)."""

    def of_job(wildcards):
        return function(
            wildcards if pack is None else SimpleNamespace(run=pack.runs[0])
        )

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


def simulation_of(wildcards):
    """Settings of a simulated brain, by its name in the store."""
    brains = {STUDY.simulated_name(name): name for name in STUDY.config.simulated}
    name = brains[wildcards.brain]
    return {"name": name, **STUDY.config.simulated[name].model_dump(mode="json")}


def dataset_of(wildcards):
    """Name of a data set without its fingerprint."""
    return wildcards.dataset.rsplit("-", 1)[0]


def stimulus_sources(wildcards):
    """What a stimulus set is made from, where a rule of ours makes it."""
    name = wildcards.set
    made = [job.made for job in JOBS if job.stimuli.name == name and job.made]
    if made and not name.startswith("v4-"):
        return made
    if name.startswith("v4-"):
        return v4_files(name.removeprefix("v4-"))
    if name.startswith("simulated-"):
        return manifest_of(data_of_set(name))
    return []


def v4_files(session):
    """Files of a V4 session that are downloaded; none where the study has a folder with them."""
    if STUDY.v4_dir:
        return []
    data = STUDY.store.v4()
    return [
        data / f"images/images_{session}.zip",
        data / f"responses_repeat_averaged/responses_{session}.npy",
    ]


def data_of_set(name):
    """The simulated brain that a stimulus set belongs to."""
    return next(
        brain
        for brain in map(STUDY.simulated_name, STUDY.config.simulated)
        if name.startswith(brain)
    )


def degrees_of(wildcards):
    """Visual angle at which a stimulus set is shown; none where its images are used as they are."""
    return SETS[wildcards.set].degrees


def manifest_of(data):
    """The manifest of a simulated brain; nothing for data that lie in a folder of the user."""
    return (
        STORE / "simulated" / data / "manifest.json"
        if data.startswith("simulated-")
        else []
    )


def region_layers_of(wildcards):
    """Layers of regions that the study names or that were published."""
    fixed = choice.fixed_layers(STUDY.config, RUNS[wildcards.run])
    return dict(sorted(fixed["regions"].items()))


def readout_of(wildcards):
    """The behavioural readout that the study names or that was published; empty for the last layer."""
    return choice.fixed_layers(STUDY.config, RUNS[wildcards.run])["readout"] or ""


def v4_inputs(wildcards):
    """Downloaded files of a V4 session."""
    return v4_files(wildcards.session)


def v4_entry(wildcards):
    """Numbers of mapping images and metrics that the study asks for."""
    entry = next(
        entry
        for entry in STUDY.recordings
        if wildcards.session in STUDY.v4_sessions(entry)
    )
    return entry.model_dump(mode="json", include={"samples", "metrics"})


def fit_of(wildcards):
    """Settings of a fit, keys in a fixed order: writing them in another order makes no fit stale."""
    return json.loads(canonical_json(FITS[wildcards.fit].settings))


def layers_of(wildcards):
    """Layers that are extracted of a run; empty where the defaults serve."""
    return choice.extracted_layers(STUDY.config, RUNS[wildcards.run])


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
        "store": STORE,
    }
    if workflow.non_local_exec and (found := list(quote_problems(PLACES))):
        raise WorkflowError(str(StudyError(found)))
    subprocess.run(
        [INTERPRETER, "-m", "neuroscaling.cli.main", "check", config["study"]],
        check=True,
    )
    write_jobs(FROZEN, TRAIN_JOBS)
