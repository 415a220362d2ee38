"""`neuroscaling plan` estimates the hours and bytes that a study takes, before anything runs.

What loads torch is imported in the functions that need it, so that other commands start at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from neuroscaling.cli import plan_checkpoints, plan_extraction, plan_jobs, plan_scores, plan_training
from neuroscaling.cli.benchmarks import benchmark_rows, content_of
from neuroscaling.cli.output import FOR_PEOPLE, MARKDOWN, show
from neuroscaling.core.errors import Problem, StudyError, listing
from neuroscaling.planning.extraction_time import speed_note
from neuroscaling.planning.recorded_speed import Recorded, recorded_runs
from neuroscaling.planning.training_throughput import (
    read_training_rates,
    slug,
    speeds_of,
    write_training_rate,
)
from neuroscaling.planning.training_time import trained_runs
from neuroscaling.planning.workload import definition_of, size_of, subset_images
from neuroscaling.study.loaded_study import LoadedStudy, load_study
from neuroscaling.training.schedule import StepPlan
from neuroscaling.training.weight_averaging import start_note, start_share


def print_plan(options: argparse.Namespace) -> None:
    """Print what training, checkpoints, extraction and scores cost; or one of these alone."""
    _refuse_contradictions(options)
    study = load_study(options.study, planning=True)
    sections, notes = {}, study.left_out_notes()
    trains = options.stage in (None, "training") and bool(trained_runs(study))
    measured = calibrate_training(study) if trains and options.calibrate else None
    speeds = speeds_of(options.gpu or measured or study.config.training.gpu, study.store.root)
    if trains:
        # A device that is named, or was just measured, is another one than finished runs had, for all that is known.
        recorded = Recorded() if options.gpu or options.calibrate else recorded_runs(study, speeds)
        by = options.by or "family"
        sections["training"] = plan_training.training_rows(study, speeds, by, options.gpus, recorded)
        if recorded.runs or recorded.others:
            sections["finished"] = plan_training.finished_rows(recorded)
            notes.append(plan_training.recorded_note(recorded))
        notes += [plan_training.training_note(study, speeds, options.gpus), *average_notes(study)]
    others = any(run.checkpoint and run.kept_epoch is None for run in study.runs.values())
    if options.stage in (None, "checkpoints") and others:
        sections["checkpoints"] = plan_checkpoints.checkpoint_rows(study, options.by or "family")
        notes.append(plan_checkpoints.CHECKPOINT_NOTE)
    if options.stage in (None, "extraction"):
        sections["extraction"] = plan_extraction.extraction_rows(study, speeds, options.by or "arch")
        if len(sections["extraction"]) > 1:
            notes.append(speed_note(speeds, study.config.extraction.autocast))
    if options.stage in (None, "brainscore") and study.config.brainscore:
        sections["brainscore"] = plan_scores.brainscore_rows(study)
    if options.stage in (None, "encoding") and study.config.encoding:
        sections["encoding"] = plan_scores.encoding_rows(study)
        notes.append(plan_scores.ENCODING_NOTE)
    if options.stage in (None, "jobs"):
        sections["jobs"] = plan_jobs.job_rows(study, "arch" if options.by == "arch" else "stage")
        notes.append(plan_jobs.JOBS_NOTE)
    if options.stage in (None, "submissions"):
        sections["submissions"] = plan_jobs.submission_rows(study)
        notes.append(plan_jobs.SUBMISSIONS_NOTE)
    if options.scores is not None:
        rows = benchmark_rows(study, content_of(study.results.table if options.scores == Path() else options.scores))
        sections["benchmarks"] = rows
        if rows and not any(row["in_study"] for row in rows):
            notes.append("benchmarks: none of the table's is one of this study's, so all are shown")
    _show_sections(sections, options.format)
    print("\n".join(notes), file=sys.stderr, end="\n" if notes else "")


def _show_sections(sections: dict[str, list[dict[str, Any]]], form: str) -> None:
    """One section as rows; several as tables one below the other, as CSV with a column `stage`, or as JSON by stage."""
    if form in FOR_PEOPLE:
        sections = {stage: [plan_training.readable_row(row) for row in rows] for stage, rows in sections.items()}
    if len(sections) < 2:
        show(next(iter(sections.values()), []), form)
    elif form == "json":
        print(json.dumps(sections, indent=1))
    elif form == "csv":
        rows = [{"stage": stage, **row} for stage, found in sections.items() for row in found]
        keys = dict.fromkeys(key for row in rows for key in row)
        show([{key: row.get(key) for key in keys} for row in rows], form)
    else:
        for i, (stage, rows) in enumerate(sections.items()):
            print("\n" * (i > 0) + stage + "\n" * (form == MARKDOWN))
            show(rows, form)


def _refuse_contradictions(options: argparse.Namespace) -> None:
    """Raise StudyError for options that contradict each other."""
    problems = [
        Problem(what=f"says nothing to the stage {options.stage}", where=f"--{name}", value=value, fix="leave it out")
        for name, stages in STAGES_OF_OPTION.items()
        if (value := getattr(options, name)) and options.stage not in stages
    ]
    if options.gpus < 1:
        problems.append(
            Problem(what="at least one GPU", where="--gpus", value=options.gpus, allowed="a whole number above 0")
        )
    if problems:
        raise StudyError(problems)


STAGES_OF_OPTION = {"gpu": (None, "training", "extraction"), "calibrate": (None, "training")}
"""The stages that an option says something to."""


def calibrate_training(study: LoadedStudy) -> str:
    """Measure the study's trained architectures that the store has no rate of for this machine's device: its folder.

    Each is measured in each precision that it is trained in. Raises DataError for a rate that can't be read.
    """
    from neuroscaling.core.machine import device_of
    from neuroscaling.planning.benchmark import machine_name, measure_training

    store, options, device = study.store.root, study.config.training.options(), machine_name(device_of(None))
    known = read_training_rates(store, slug(device))
    for (arch, precision), recipe in {
        (run.arch, run.training_recipe.precision): run.training_recipe for run in trained_runs(study)
    }.items():
        if (definition_of(arch), precision) not in known:
            rate = measure_training(arch, recipe, options=options)
            write_training_rate(store, rate)
            speed = f"{rate.train:.4g} images a second in training, {rate.evaluate:.4g} in evaluation"
            print(f"{arch}: {speed}", file=sys.stderr)
    return slug(device)


RUNS_SHOWN = 3


def average_notes(study: LoadedStudy) -> list[str]:
    """A line for each recipe with runs too short for its average or its teacher: the shortest, and which they are.

    Raises DataError for a data set that is neither there nor declared.
    """
    found: dict[str, list[tuple[float, str, str]]] = {}
    for run in trained_runs(study):
        recipe = run.training_recipe
        if recipe.objective != "dino" and (recipe.ema is None or recipe.ema_warmup):
            continue
        n_images = subset_images(run.subset or str(run.samples_per_class), size_of(run, study.store.cache()))
        n_steps = StepPlan.of(recipe, run.arch, run.seed, n_images).n_steps
        if note := start_note(recipe, n_steps):
            found.setdefault(recipe.name, []).append((start_share(recipe, n_steps), note, run.run))
    return [
        f"recipe {name}: {max(runs)[1]} ({len(runs)} of its runs: {listing([run for *_, run in runs], RUNS_SHOWN)})"
        for name, runs in found.items()
    ]
