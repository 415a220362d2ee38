"""Fits that would pool scores on several scales, told from the study before anything runs. Light.

Of Brain-Score's benchmarks, and of validation accuracy, the scale is known beforehand; of fMRI and V4 it depends on
whether the recordings have a ceiling, which the fit itself looks at.
"""

from collections.abc import Iterator
from typing import Any

from neuroscaling.brainscore.definitions import benchmark, check_definitions
from neuroscaling.brainscore.ids import scale_of
from neuroscaling.core.scales import NONE
from neuroscaling.errors import Problem
from neuroscaling.study import LoadedStudy
from neuroscaling.table import SCORE_COLUMNS, VALIDATION

KNOWN = ("benchmark", "region", "metric", "protocol", "engine", "scale")


def scale_problems(study: LoadedStudy) -> Iterator[Problem]:
    """A problem for each fit of scores on more than one scale, unless it means to average over scales.

    Fits that also filter by other columns of scores, such as the subject, are left to the fit.
    """
    rows = list(_rows(study))
    for job in study.fits.values():
        filters = {column: value for column, value in job.settings["filters"].items() if column in SCORE_COLUMNS}
        if job.settings["y"] != "score" or job.settings["mean_over_scales"] or not set(filters) <= set(KNOWN):
            continue
        examples: dict[str, str] = {}
        for row in rows:
            if all(_passes(row.get(column), condition) for column, condition in filters.items()):
                examples.setdefault(row["scale"], row["benchmark"])
        if len(examples) > 1:
            found = "; ".join(f"{scale} of {name}" for scale, name in examples.items())
            fix = (
                "filter it by `benchmark`, `region` or `scale`, fit `y: raw`, or say that each point is meant to be a "
                "mean over them: `mean_over_scales: true`"
            )
            what = f"this fit would pool scores on {len(examples)} scales"
            yield Problem(what, f"{study.file}: fit {job.name}", found, "one scale", fix=fix)


def _rows(study: LoadedStudy) -> Iterator[dict[str, str]]:
    """What is known of the rows of the score table."""
    settings, protocol = study.config.brainscore, study.config.protocol
    if settings:
        entries = {name: entry.model_dump(mode="json") for name, entry in settings.define.items()}
        definitions = check_definitions(entries, study.file.parent)
        for name in settings.benchmarks:
            entry = benchmark(name, definitions)
            facts = {"benchmark": name, "region": entry.region, "metric": entry.metric, "engine": settings.engine}
            yield facts | {"protocol": protocol, "scale": scale_of(entry, protocol)}
    if study.config.accuracy:
        yield {"benchmark": VALIDATION, "region": "accuracy", "scale": NONE}


def _passes(value: str | None, condition: Any) -> bool:
    """Whether a filter lets a text pass; one that isn't known is not counted."""
    if value is None:
        return False
    if isinstance(condition, dict):
        return "not" not in condition or not _passes(value, condition["not"])
    return value in condition if isinstance(condition, list) else value == condition
