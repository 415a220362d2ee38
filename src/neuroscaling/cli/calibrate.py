"""`neuroscaling plan --calibrate` and `--rates`: hours that a study takes, on the machine whose rates were measured."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuroscaling.calibration.rates import Rates
    from neuroscaling.study import LoadedStudy

HOUR = 3600
HOURS = ("extraction_hours", "encoding_hours")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `plan` that ask for hours."""
    parser.add_argument("--calibrate", action="store_true", help="measure this machine for half a minute; print hours")
    parser.add_argument("--device", metavar="D", help="torch's name of the device to measure; CUDA where there is one")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the measured rates, for plans made elsewhere")
    parser.add_argument("--rates", type=Path, metavar="FILE", help="print hours for the machine of these rates")


def rates_of(options: argparse.Namespace, study: "LoadedStudy") -> "Rates | None":
    """Rates that are read, or measured now and saved where asked; None where neither is asked for.

    Raises StudyError for options that contradict each other, DataError for a file that is none of rates.
    """
    _refuse_contradictions(options)
    if options.rates:
        from neuroscaling.calibration.rates import read_rates

        return read_rates(options.rates)
    if not options.calibrate:
        return None
    from neuroscaling.calibration.measure import measure
    from neuroscaling.calibration.rates import write_rates

    store = study.config.store
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


def _refuse_contradictions(options: argparse.Namespace) -> None:
    from neuroscaling.errors import Problem, StudyError

    problems = []
    if options.rates and options.calibrate:
        problems.append(Problem("rates are read or measured, not both", "--rates, --calibrate"))
    problems += [
        Problem("belongs to a measurement", f"--{name}", getattr(options, name), fix="add --calibrate")
        for name in ("device", "save")
        if getattr(options, name) and not options.calibrate
    ]
    if problems:
        raise StudyError(problems)
