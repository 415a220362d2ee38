"""`neuroscaling job` makes one artefact of a study in this process, where a debugger can follow it.

    python -m pdb -m neuroscaling.cli.main job STUDY NAME --folder FOLDER

A job of the pipeline gets the same object and calls the same function. What loads torch, SciPy or Zarr is imported in
the functions that need it.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from neuroscaling.core.errors import Problem, StudyError, listing, nearest
from neuroscaling.core.machine import keep_freed_memory
from neuroscaling.core.records import RUN_RECORD
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.datasets.subset_sampling import draw_token
from neuroscaling.laws.study_fit import write_fit
from neuroscaling.recordings.preparation import prepare_recording
from neuroscaling.simulate.brain import simulate_brain
from neuroscaling.stimuli.manifest import MANIFEST
from neuroscaling.stimuli.preparation import prepare_stimuli
from neuroscaling.study.jobs import Jobs
from neuroscaling.study.loaded_study import LoadedStudy, load_study
from neuroscaling.study.preparation_jobs import PreparationJob
from neuroscaling.study.recordings import EncodingJob, LocatedSubject
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.extraction import ExtractionOptions
from neuroscaling.study.stimulus_sets import StimulusSet
from neuroscaling.study.wanted import Absent, Inventory, Targets

ANOTHER_ENVIRONMENT = (
    "start its job by Snakemake; then step through `workflow/scripts/score_brainscore.py JOB LOG` with the Python of "
    "Brain-Score's environment: JOB is the .job.json beside the job's log (docs/faq.md)"
)


@dataclass(frozen=True)
class Step:
    """An artefact that a job makes: a file, or a folder with a record.

    path: where it lies; record: the file that is there when it is made; make: makes it at this or another path.
    """

    path: Path
    record: Path
    make: Callable[[Path], object]

    @property
    def ending(self) -> str:
        """What the file's name ends in; empty for a folder."""
        return self.path.suffix if self.path == self.record else ""


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """The options of `job`, behind the study."""
    text = "what to make, as the store names it: runs/RUN, activations/RUN/SET, scores/BENCHMARK/RUN, ..."
    parser.add_argument("name", metavar="NAME", help=text)
    text = "make it in this folder, and leave the store as it is"
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help=text)


def run_job(options: argparse.Namespace) -> None:
    """Make the artefact that the options name, and print its path.

    Raises StudyError for a name that the study does not have, for one that is there already, and for what is made in
    Brain-Score's environment; and what the function that makes it raises.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    study = load_study(options.study)
    steps = dict(steps_of(study))
    name = next((name for name in (options.name, f"runs/{options.name}") if name in steps), None)
    if name is None:
        raise StudyError(_unknown(study, options.name, list(steps)))
    step = steps[name]
    if options.folder is None and study.store.find(step.record).is_file():
        what, fix = "the store has it already: its job would do nothing", "--folder FOLDER makes it once more elsewhere"
        raise StudyError(Problem(what=what, where=name, value=str(study.store.find(step.record)), fix=fix))
    path = step.path if options.folder is None else options.folder / f"{name}{step.ending}"
    step.make(path)
    print(path)


def steps_of(study: LoadedStudy) -> Iterator[tuple[str, Step]]:
    """What the study's jobs make in this environment, by its name in the store, or in the study's results."""
    targets = Targets(study)
    jobs = Jobs(Absent(targets, Inventory(study.store)))
    for step in [*_inputs(study, targets, jobs), *_results(study, targets, jobs)]:
        yield study.store.name_of(step.path).removesuffix(step.ending), step
    for name in study.fits:
        path = study.results.fit(name)
        yield f"fits/{name}", Step(path, path, partial(_fit, study, name))


def _inputs(study: LoadedStudy, targets: Targets, jobs: Jobs) -> Iterator[Step]:
    store = study.store
    for run in study.runs.values():
        if run.kind == "trained":
            subset = targets.subset(run)
            yield Step(subset, subset, partial(_draw, study, jobs, run))
        folder = store.run(run.run)
        yield Step(folder, folder / RUN_RECORD, partial(_train, study, jobs, run))
    for name in study.config.simulated:
        folder = store.simulated(study.simulated_name(name))
        yield Step(folder, folder / MANIFEST, partial(_simulate, jobs, study.simulated_name(name)))
    for one in targets.sets.values():
        folder = store.stimuli(one.name)
        yield Step(folder, folder / MANIFEST, partial(_prepare, jobs, one))
    yield from _recordings(targets)


def _recordings(targets: Targets) -> Iterator[Step]:
    """Subjects whose recordings are prepared."""
    for subject in targets.names.subjects:
        if job := subject.preparation:
            yield Step(job.folder, job.folder / MANIFEST, partial(_prepare_recording, job))


def _results(study: LoadedStudy, targets: Targets, jobs: Jobs) -> Iterator[Step]:
    for (name, stimuli), path in targets.all_activations.items():
        yield Step(path, path, partial(_extract, study, jobs, study.runs[name], targets.sets[stimuli]))
    for run in study.runs.values():
        for subject in targets.names.subjects:
            path = targets.encoding(run, subject).path(study.store)
            yield Step(path, path, partial(_encode, study, jobs, run, subject))


def _draw(study: LoadedStudy, jobs: Jobs, run: Run, path: Path) -> None:
    job = jobs.subset(run)
    index = load_index(job.dataset, job.settings, "train", job.fingerprint, study.store.cache())
    write_subset(path, index, draw_token(index, job.token, job.seed), job.token, job.seed, job.definition)


def _train(study: LoadedStudy, jobs: Jobs, run: Run, path: Path) -> None:
    from neuroscaling.training.train import train

    job = jobs.run(run)
    # Of one process alone, whatever the study has: a debugger follows no other.
    options = replace(study.config.training.options(cache_dir=study.store.cache()), workers=0, gpus=1, nodes=1)
    train(replace(job, out=path), options)


def _simulate(jobs: Jobs, brain: str, path: Path) -> None:
    simulate_brain(replace(jobs.simulated(brain), folder=path))


def _prepare(jobs: Jobs, one: StimulusSet, path: Path) -> None:
    prepare_stimuli(replace(jobs.stimuli(one), folder=path))


def _prepare_recording(job: PreparationJob, path: Path) -> None:
    prepare_recording(replace(job, folder=path))


def _extract(study: LoadedStudy, jobs: Jobs, run: Run, one: StimulusSet, path: Path) -> None:
    from neuroscaling.activations.extraction import extract

    options = ExtractionOptions(**study.config.extraction.operating() | {"workers": 0})
    extract(replace(jobs.extraction(run, one), output=path), options)


def _encode(study: LoadedStudy, jobs: Jobs, run: Run, subject: EncodingJob, path: Path) -> None:
    from neuroscaling.encoding.encoding_job import score_encodings

    job = replace(jobs.encoding(run, subject), path=path)
    located = {job.benchmark: LocatedSubject.of(subject.located)}
    score_encodings([job], subject.entry, located, study.config.protocol)


def _fit(study: LoadedStudy, name: str, path: Path) -> None:
    write_fit(study.results.table, study.fits[name].settings, path, path.with_name(f"{name}.bootstraps.parquet"))


def _unknown(study: LoadedStudy, name: str, known: list[str]) -> Problem:
    targets = Targets(study)
    others = [score.path(study.store) for score in targets.scores if score.stage == "brainscore"]
    others += [one.path(study.store) for run in targets.references for one in targets.commitments(run)]
    if name in {study.store.name_of(path).removesuffix(path.suffix) for path in others}:
        what = "made in Brain-Score's environment, which this process is not of"
        return Problem(what=what, where=name, fix=ANOTHER_ENVIRONMENT)
    near = nearest(name, known) or nearest(f"runs/{name}", known)
    return Problem(
        what="no job of the study makes this", where="NAME", value=name, allowed=listing(known), nearest=near
    )
