"""How a study's layers are chosen: which are named, which are found, and on which network. Light."""

from collections.abc import Iterator
from typing import Any

from neuroscaling.brainscore.targets import BrainScoreJob, region_of
from neuroscaling.config import Study
from neuroscaling.errors import DataError, Problem, StudyError
from neuroscaling.models.commitments import published
from neuroscaling.runs import Run
from neuroscaling.study import LoadedStudy

FOUND = ("nested", "reported")
"""Ways of choosing that look at scores, and so need a job of their own."""


def way(study: Study) -> str:
    """How layers are chosen: as the study says, else by its protocol."""
    assert study.brainscore is not None
    return study.brainscore.layers.choose or {"corrected": "nested", "parity": "reported"}[study.protocol]


def fixed_layers(study: Study, run: Run) -> dict[str, Any]:
    """Layers of `run` that nothing has to look for: {"regions", "readout"} of `layers:`, else those published.

    Raises DataError when the file of published choices has none for the run.
    """
    section = study.layers.get(run.arch)
    regions = dict(section.regions) if section else {}
    readout = section.readout if section else None
    settings = study.brainscore
    if settings and settings.layers.commitments and run.kind != "baseline":
        objective = (run.recipe or {}).get("objective", "supervised")
        found = published(settings.layers.commitments, run.arch, run.kind, run.dataset, objective)
        regions, readout = found.regions | regions, readout or found.readout
    return {"regions": regions, "readout": readout}


def extracted_layers(study: Study, run: Run) -> dict[str, Any]:
    """What extraction is told of a run's layers: {"candidates", "regions", "readout"}; empty for the defaults.

    Where the layers of all regions are known and nothing else reads the activations, no candidates are extracted.
    """
    section = study.layers.get(run.arch)
    fixed = fixed_layers(study, run)
    candidates = section.candidates if section and section.candidates else None
    if candidates is None and study.candidates != "default":
        candidates = study.candidates
    if candidates is None and study.brainscore and way(study) == "published" and not study.encoding:
        candidates = sorted(set(fixed["regions"].values()))
    return {"candidates": candidates, **fixed} if candidates or any(fixed.values()) else {}


def chosen_benchmarks(study: LoadedStudy, job: BrainScoreJob) -> list[str]:
    """Benchmarks of a job whose region's layer is found by looking at scores; behaviour has its readout."""
    if way(study.config) not in FOUND:
        return []
    return [benchmark for benchmark in job.benchmarks if region_of(study, benchmark) != "behavior"]


def reference_run(study: LoadedStudy, run: Run) -> Run:
    """The run on which the layers of `run` are chosen: itself, or the seed-0 network with all training images.

    Raises StudyError when the study has no such network.
    """
    assert study.config.brainscore is not None
    frozen = study.config.brainscore.layers.scope == "arch" or way(study.config) == "reported"
    if not frozen or run.kind != "trained":
        return run
    for other in study.runs.values():
        same = (other.kind, other.arch, other.dataset, other.recipe) == (run.kind, run.arch, run.dataset, run.recipe)
        if same and other.samples_per_class == "all" and other.seed == 0:
            return other
    what = "no network to choose the layers on: seed 0, all training images"
    fix = "add it to `runs:`, or choose per network: `brainscore: layers: {choose: nested, scope: run}`"
    raise StudyError(Problem(what, f"{study.file}: brainscore.layers", f"{run.arch} on {run.dataset}", fix=fix))


def choice_problems(study: LoadedStudy) -> Iterator[Problem]:
    """What is wrong with the choice of layers: no network to choose on, nothing published for a run."""
    if study.config.brainscore is None:
        return
    found: dict[str, Problem] = {}
    for run in study.runs.values():
        if run.kind == "baseline":
            continue
        try:
            fixed_layers(study.config, run)
            if way(study.config) in FOUND:
                reference_run(study, run)
        except (DataError, StudyError) as error:
            found |= {str(problem): problem for problem in error.problems}
    yield from found.values()
