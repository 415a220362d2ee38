"""The options of `neuroscaling plan`, and the rates of a machine that its hours rest on: measured, or read."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuroscaling.calibration.rates import Rates
    from neuroscaling.errors import Problem
    from neuroscaling.study import LoadedStudy

HOUR = 3600
NOT_OF = {"training": ("rates", "save"), "extraction": ("archs", "gpu")}
"""Options that say nothing to a stage."""
HOURS = ("extraction_hours", "encoding_hours")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `plan`."""
    stages = ("training", "extraction")
    parser.add_argument("--stage", choices=stages, help="plan one of them alone; both by default")
    text = "a row of trainings stands for a ... (family)"
    parser.add_argument("--by", choices=("family", "arch", "dataset", "run"), default="family", help=text)
    text = "a100, h100, h200, rtx3090 or a calibrated device; the study's `training: gpu` by default"
    parser.add_argument("--gpu", metavar="NAME", help=text)
    parser.add_argument("--gpus", type=int, default=1, metavar="N", help="GPUs that train side by side (1)")
    text = "compare the estimates with the seconds that finished runs recorded"
    parser.add_argument("--compare", action="store_true", help=text)
    text = "measure this machine: half a minute for extraction, up to a minute for each trained architecture"
    parser.add_argument("--calibrate", action="store_true", help=text)
    text = "measure training for these architectures alone; others are scaled from them"
    parser.add_argument("--archs", nargs="+", metavar="ARCH", help=text)
    parser.add_argument("--device", metavar="D", help="torch's name of the device to measure; CUDA where there is one")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the measured rates, for plans made elsewhere")
    parser.add_argument("--rates", type=Path, metavar="FILE", help="print hours for the machine of these rates")


def rates_of(options: argparse.Namespace, study: "LoadedStudy") -> "Rates | None":
    """Rates that are read, or measured now and saved where asked; None where neither is asked for.

    Raises DataError for a file that is none of rates.
    """
    if options.rates:
        from neuroscaling.calibration.rates import read_rates

        return read_rates(options.rates)
    if not options.calibrate:
        return None
    from neuroscaling.calibration.measure import measure
    from neuroscaling.calibration.rates import write_rates

    store = study.store.root
    wanted = tuple(dict.fromkeys(("none", study.config.extraction.autocast)))
    rates = measure(options.device, store if store.is_dir() else None, wanted)
    if options.save:
        write_rates(rates, options.save)
    return rates


def hours_of(study: "LoadedStudy", rates: "Rates", row: dict[str, Any], layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Hours of all networks of a row of the plan, of extraction and of encoding; None where counts are not known yet.

    layers: what `activations.plan.planned` gave for the row.
    """
    from neuroscaling.calibration.extraction import extraction_seconds, total_seconds

    if not row["stimuli"]:
        return dict.fromkeys(HOURS)
    parts = extraction_seconds(row["arch"], row["stimuli"], layers, study.config.extraction.autocast, rates)
    extraction = row["networks"] * total_seconds(parts) / HOUR
    return {"extraction_hours": _rounded(extraction), "encoding_hours": _encoding(study, rates, row, layers)}


def note(rates: "Rates") -> str:
    """What the hours mean, in one line."""
    return f"hours of one device like the one that was measured: {rates.machine}"


def _encoding(study: "LoadedStudy", rates: "Rates", row: dict[str, Any], layers: list[dict[str, Any]]) -> float | None:
    """None where the subjects of the set are not counted yet; 0 for a set without fMRI."""
    from neuroscaling.calibration.encoding import encoding_seconds, subject_shape
    from neuroscaling.encoding.targets import encoding_jobs

    config, seconds = study.config, 0.0
    for job in encoding_jobs(study):
        if job.stimuli.name == row["set"]:
            shape = subject_shape(study, job)
            if shape is None:
                return None
            seconds += encoding_seconds(job.entry, config.protocol, shape, layers, config.extraction.keep, rates)
    return _rounded(row["networks"] * seconds / HOUR)


def _rounded(hours: float) -> float:
    return float(f"{hours:.3g}")


def calibrate_training(options: argparse.Namespace, study: "LoadedStudy") -> None:
    """Measure the study's trained architectures that the store has no rate of for this machine's device.

    Raises StudyError for an architecture that the study does not train.
    """
    from neuroscaling.calibration.measure import machine
    from neuroscaling.calibration.training_measure import measure_training
    from neuroscaling.calibration.training_rates import rate_file, write_rate
    from neuroscaling.devices import device_of
    from neuroscaling.training.recipe import Recipe

    store, training = study.store.root, study.config.training
    device = device_of(options.device)
    for arch, recipe in _wanted(options, study):
        if not rate_file(store, machine(device), arch, recipe["precision"]).is_file():
            rate = measure_training(arch, Recipe.model_validate(recipe), options.device, training.operating())
            write_rate(store, rate)
            print(
                f"{arch}: {rate.train:.4g} images a second in training, {rate.evaluate:.4g} in evaluation",
                file=sys.stderr,
            )


def _wanted(options: argparse.Namespace, study: "LoadedStudy") -> list[tuple[str, dict[str, Any]]]:
    """Each architecture in each precision that it is trained in, with a recipe that has it."""
    from neuroscaling.errors import Problem, StudyError, listing, nearest

    found = {(run.arch, run.recipe["precision"]): run.recipe for run in study.runs.values() if run.recipe}
    known = list(dict.fromkeys(arch for arch, _ in found))
    unknown = [arch for arch in options.archs or [] if arch not in known]
    if unknown:
        what = "the study does not train this architecture"
        raise StudyError([Problem(what, "--archs", arch, listing(known), nearest(arch, known)) for arch in unknown])
    return [(arch, recipe) for (arch, _), recipe in found.items() if not options.archs or arch in options.archs]


def contradictions(options: argparse.Namespace) -> Iterator["Problem"]:
    """Options that contradict each other."""
    from neuroscaling.errors import Problem

    def given(name: str) -> Any:
        value = getattr(options, name)
        return " ".join(value) if isinstance(value, list) else value

    if options.rates and options.calibrate:
        yield Problem("rates are read or measured, not both", "--rates, --calibrate")
    for name in ("archs", "device", "save"):
        if getattr(options, name) and not options.calibrate:
            yield Problem("belongs to a measurement", f"--{name}", given(name), fix="add --calibrate")
    for name in NOT_OF.get(options.stage, ()):
        if getattr(options, name):
            yield Problem(f"says nothing to the stage {options.stage}", f"--{name}", given(name), fix="leave it out")
    if options.compare and (options.calibrate or options.rates or options.stage == "extraction"):
        what = "estimates of training are compared with finished runs; nothing is measured, extraction is not planned"
        yield Problem(what, "--compare", fix="leave out --calibrate, --rates and --stage extraction")
