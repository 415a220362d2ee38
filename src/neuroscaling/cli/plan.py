"""`neuroscaling plan`: hours of training, bytes of activations and hours that a study takes, before anything runs."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from neuroscaling import targets
from neuroscaling.brainscore.choice import extracted_layers
from neuroscaling.brainscore.targets import StimulusSet
from neuroscaling.cli import plan_training
from neuroscaling.cli.calibrate import HOURS, calibrate_training, contradictions, hours_of, note, rates_of
from neuroscaling.cli.notes import average_notes
from neuroscaling.cli.output import show
from neuroscaling.errors import Problem, StudyError
from neuroscaling.study import LoadedStudy

if TYPE_CHECKING:
    from neuroscaling.calibration.rates import Rates

GIGA = 1e9


def plan(options: argparse.Namespace) -> None:
    """Print what training costs, then what extraction and encoding do; of either stage, or what finished runs say."""
    from neuroscaling.study import load_study

    _refuse(options)
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
        notes += [plan_training.note(study, speeds, options.gpus), *average_notes(study)]
    if options.stage != "training":
        rates = rates_of(options, study)
        sections["extraction"] = plan_rows(study, rates)
        notes += [note(rates)] if rates else []
    _show(sections, options.format)
    print("\n".join(notes), file=sys.stderr, end="\n" if notes else "")


def _show(sections: dict[str, list[dict[str, Any]]], form: str) -> None:
    """One section as rows; two as tables one below the other, as CSV with a column `stage`, or as JSON by stage."""
    if form == "table":
        sections = {stage: [plan_training.readable(row) for row in rows] for stage, rows in sections.items()}
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


def _refuse(options: argparse.Namespace) -> None:
    """Raise StudyError for options that contradict each other."""
    problems = list(contradictions(options))
    if options.gpus < 1:
        problems.append(Problem("at least one GPU", "--gpus", options.gpus, "a whole number above 0"))
    if problems:
        raise StudyError(problems)


def plan_rows(study: LoadedStudy, rates: Rates | None = None) -> list[dict[str, Any]]:
    """Networks, stimuli, layers and gigabytes for each architecture and stimulus set, and a row of sums.

    rates: of a machine, for the hours that it would take. Empty numbers: the stimuli of a set that is not downloaded
    yet can't be counted. Nothing is computed but shapes.
    """
    from neuroscaling.stimuli.counting import count_stimuli

    sets = [(stimuli, count_stimuli(study, stimuli)) for stimuli in targets.Targets(study).sets.values()]
    rows = [
        _row(study, arch, runs, stimuli, n, rates) for arch, runs in _runs_by_arch(study).items() for stimuli, n in sets
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


def _row(
    study: LoadedStudy, arch: str, runs: list[Any], stimuli: StimulusSet, n: int | None, rates: Rates | None
) -> dict[str, Any]:
    from neuroscaling.activations.plan import peak_scratch, planned

    settings = study.config
    layers = planned(
        arch,
        extracted_layers(settings, runs[0]) or None,
        settings.reduction.settings(),
        n or 0,
        settings.extraction.determining() | settings.extraction.operating(),
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
