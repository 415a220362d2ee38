"""`neuroscaling plan` estimates hours and bytes that a study takes, before anything runs.

What loads torch is imported in the functions that need it, so that other commands start at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from neuroscaling.cli import plan_training
from neuroscaling.cli.output import GIGA, HOUR, rounded, show
from neuroscaling.core.errors import Problem, StudyError, listing, nearest
from neuroscaling.planning.encoding import encoding_seconds, subject_shape
from neuroscaling.planning.machine_throughput import Rates, read_rates, write_rates
from neuroscaling.planning.training_throughput import training_rate_file, write_training_rate
from neuroscaling.planning.training_time import trained_runs
from neuroscaling.planning.workload import size_of, subset_images
from neuroscaling.study import wanted as study_wanted
from neuroscaling.study.extraction_job import FeatureSpec
from neuroscaling.study.extraction_sections import Layers
from neuroscaling.study.layer_choice import extracted_layers
from neuroscaling.study.loaded_study import LoadedStudy, load_study
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.recordings import StimulusSet, encoding_jobs
from neuroscaling.training.schedule import StepPlan
from neuroscaling.training.weight_averaging import start_note, start_share


def print_plan(options: argparse.Namespace) -> None:
    """Print what training costs, then what extraction and encoding do; of either stage, or what finished runs say."""
    _refuse_contradictions(options)
    study = load_study(options.study, planning=True)
    if options.compare:
        show(plan_training.compared_rows(study, plan_training.speeds_of(options, study), options.by), options.format)
        return
    sections, notes = {}, []
    if options.stage != "extraction" and any(run.kind == "trained" for run in study.runs.values()):
        if options.calibrate:
            calibrate_training(options, study)
        speeds = plan_training.speeds_of(options, study)
        sections["training"] = plan_training.training_rows(study, speeds, options.by, options.gpus)
        notes += [plan_training.training_note(study, speeds, options.gpus), *average_notes(study)]
    if options.stage != "training":
        rates = rates_of(options, study)
        sections["extraction"] = plan_rows(study, rates)
        notes += [machine_note(rates)] if rates else []
    _show_sections(sections, options.format)
    print("\n".join(notes), file=sys.stderr, end="\n" if notes else "")


def _show_sections(sections: dict[str, list[dict[str, Any]]], form: str) -> None:
    """One section as rows; two as tables one below the other, as CSV with a column `stage`, or as JSON by stage."""
    if form == "table":
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
            print("\n" * (i > 0) + stage)
            show(rows, form)


def _refuse_contradictions(options: argparse.Namespace) -> None:
    """Raise StudyError for options that contradict each other."""
    problems = list(contradictions(options))
    if options.gpus < 1:
        problems.append(
            Problem(what="at least one GPU", where="--gpus", value=options.gpus, allowed="a whole number above 0")
        )
    if problems:
        raise StudyError(problems)


def plan_rows(study: LoadedStudy, rates: Rates | None = None) -> list[dict[str, Any]]:
    """Networks, stimuli, layers and gigabytes for each architecture and stimulus set, and a row of sums.

    rates: of a machine, for the hours that it would take. Empty numbers: the stimuli of a set that is not downloaded
    yet can't be counted. Nothing is computed but shapes.
    """
    from neuroscaling.planning.encoding import count_stimuli

    sets = [(stimuli, count_stimuli(study, stimuli)) for stimuli in study_wanted.Targets(study).sets.values()]
    rows = [
        _plan_row(study, arch, runs, stimuli, n, rates)
        for arch, runs in _runs_by_arch(study).items()
        for stimuli, n in sets
    ]
    keys = ("features_gb", "gram_gb", *(HOURS if rates else ()))
    total = {"arch": "all", "networks": sum(len(runs) for runs in _runs_by_arch(study).values())}
    sums = {key: round(sum(row[key] or 0 for row in rows), 3) for key in keys}
    scratch = max((row["scratch_gb"] or 0 for row in rows), default=0)
    return [*rows, {**dict.fromkeys(rows[0] if rows else keys), **total, **sums, "scratch_gb": scratch}]


def _runs_by_arch(study: LoadedStudy) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for run in study.runs.values():
        if run.kind != "baseline":
            groups.setdefault(run.arch, []).append(run)
    return groups


def _plan_row(
    study: LoadedStudy, arch: str, runs: list[Any], stimuli: StimulusSet, n: int | None, rates: Rates | None
) -> dict[str, Any]:
    from neuroscaling.planning.extraction import peak_scratch, planned_layers

    settings = study.config
    layers = planned_layers(
        arch,
        FeatureSpec(
            Layers.model_validate(extracted_layers(settings, runs[0])), settings.reduction, settings.extraction
        ),
        n or 0,
        settings.extraction,
        runs[0].kind,
    )
    known = {
        "features_gb": round(len(runs) * sum(layer["bytes"] for layer in layers) / GIGA, 3),
        "gram_gb": round(len(runs) * sum(layer["gram_bytes"] for layer in layers) / GIGA, 3),
        "scratch_gb": round(peak_scratch(layers) / GIGA, 3),
    }
    facts = {"arch": arch, "networks": len(runs), "set": stimuli.name, "stimuli": n, "layers": len(layers)}
    facts |= {"passes": len({layer["pass"] for layer in layers})}
    features = sum(layer["features"] for layer in layers)
    row = facts | {"features": features} | (known if n else dict.fromkeys(known))
    return row | hours_of(study, rates, row, layers) if rates else row


OPTIONS_OF_OTHER_STAGE = {"training": ("rates", "save"), "extraction": ("archs", "gpu")}
"""Options that say nothing to a stage."""
HOURS = ("extraction_hours", "encoding_hours")


def rates_of(options: argparse.Namespace, study: LoadedStudy) -> Rates | None:
    """Rates that are read, or measured now and saved where asked; None where neither is asked for.

    Raises DataError for a file that is none of rates.
    """
    if options.rates:
        return read_rates(options.rates)
    if not options.calibrate:
        return None
    from neuroscaling.planning.benchmark import measure_machine

    store = study.store.root
    wanted = tuple(dict.fromkeys(("none", study.config.extraction.autocast)))
    rates = measure_machine(options.device, store if store.is_dir() else None, wanted)
    if options.save:
        write_rates(rates, options.save)
    return rates


def hours_of(study: LoadedStudy, rates: Rates, row: dict[str, Any], layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Hours of all networks of a row of the plan, of extraction and of encoding; None where counts are not known yet.

    layers: what `planning.extraction.planned_layers` gave for the row.
    """
    from neuroscaling.planning.extraction import extraction_seconds, total_seconds

    if not row["stimuli"]:
        return dict.fromkeys(HOURS)
    parts = extraction_seconds(row["arch"], row["stimuli"], layers, study.config.extraction.autocast, rates)
    extraction = row["networks"] * total_seconds(parts) / HOUR
    return {
        "extraction_hours": rounded(extraction),
        "encoding_hours": _encoding_hours(study, rates, row, layers),
    }


def machine_note(rates: Rates) -> str:
    """What the hours mean, in one line."""
    return f"hours of one device like the one that was measured: {rates.machine}"


def _encoding_hours(
    study: LoadedStudy, rates: Rates, row: dict[str, Any], layers: list[dict[str, Any]]
) -> float | None:
    """None where the subjects of the set are not counted yet; 0 for a set without fMRI."""
    config, seconds = study.config, 0.0
    for job in encoding_jobs(study):
        if job.stimuli.name == row["set"]:
            shape = subject_shape(study, job)
            if shape is None:
                return None
            seconds += encoding_seconds(job.entry, config.protocol, shape, layers, config.extraction.keep, rates)
    return rounded(row["networks"] * seconds / HOUR)


def calibrate_training(options: argparse.Namespace, study: LoadedStudy) -> None:
    """Measure the study's trained architectures that the store has no rate of for this machine's device.

    Raises StudyError for an architecture that the study does not train.
    """
    from neuroscaling.core.devices import device_of
    from neuroscaling.planning.benchmark import machine_name, measure_training

    store, training = study.store.root, study.config.training
    device = device_of(options.device)
    for arch, recipe in _architectures_to_measure(options, study):
        if not training_rate_file(store, machine_name(device), arch, recipe.precision).is_file():
            rate = measure_training(arch, recipe, options.device, training.options())
            write_training_rate(store, rate)
            print(
                f"{arch}: {rate.train:.4g} images a second in training, {rate.evaluate:.4g} in evaluation",
                file=sys.stderr,
            )


def _architectures_to_measure(options: argparse.Namespace, study: LoadedStudy) -> list[tuple[str, Recipe]]:
    """Each architecture in each precision that it is trained in, with a recipe that has it."""
    found = {(run.arch, run.recipe.precision): run.recipe for run in study.runs.values() if run.recipe}
    known = list(dict.fromkeys(arch for arch, _ in found))
    unknown = [arch for arch in options.archs or [] if arch not in known]
    if unknown:
        what = "the study does not train this architecture"
        raise StudyError(
            [
                Problem(what=what, where="--archs", value=arch, allowed=listing(known), nearest=nearest(arch, known))
                for arch in unknown
            ]
        )
    return [(arch, recipe) for (arch, _), recipe in found.items() if not options.archs or arch in options.archs]


def contradictions(options: argparse.Namespace) -> Iterator[Problem]:
    """Options that contradict each other."""

    def given(name: str) -> Any:
        value = getattr(options, name)
        return " ".join(value) if isinstance(value, list) else value

    if options.rates and options.calibrate:
        yield Problem(what="rates are read or measured, not both", where="--rates, --calibrate")
    for name in ("archs", "device", "save"):
        if getattr(options, name) and not options.calibrate:
            yield Problem(what="belongs to a measurement", where=f"--{name}", value=given(name), fix="add --calibrate")
    for name in OPTIONS_OF_OTHER_STAGE.get(options.stage, ()):
        if getattr(options, name):
            yield Problem(
                what=f"says nothing to the stage {options.stage}",
                where=f"--{name}",
                value=given(name),
                fix="leave it out",
            )
    if options.compare and (options.calibrate or options.rates or options.stage == "extraction"):
        what = "estimates of training are compared with finished runs; nothing is measured, extraction is not planned"
        yield Problem(what=what, where="--compare", fix="leave out --calibrate, --rates and --stage extraction")


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
