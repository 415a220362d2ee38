"""Fits of which the study file tells, before anything is computed, that they would pool what does not belong together.

Of Brain-Score's benchmarks, and of validation accuracy, the scale is known beforehand; of other recordings it depends
on whether they have a ceiling, which the fit itself looks at.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from neuroscaling.brainscore.own_benchmarks import benchmark_entry, check_definitions
from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.core.errors import Place, Problem
from neuroscaling.core.score_scales import NO_CORRELATION
from neuroscaling.core.score_table import SCORE_COLUMNS, VALIDATION
from neuroscaling.study.benchmarks import BENCHMARKS, scale_of
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.mapping_samples import samples_of
from neuroscaling.study.recording_folders import FMRI_REGIONS
from neuroscaling.study.sections.encoding import AlgonautsEncoding, RecordingsEncoding, TvsdEncoding, V4Encoding
from neuroscaling.study.sections.fit_files import FitJob
from neuroscaling.study.sections.whole_study import Study

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
            yield Problem(
                what=what, where=Place(study.file) / f"fit {job.name}", value=found, allowed="one scale", fix=fix
            )


def _rows(study: LoadedStudy) -> Iterator[dict[str, str]]:
    """What is known of the rows of the score table."""
    settings, protocol = study.config.brainscore, study.config.protocol
    if settings:
        entries = {name: entry.model_dump(mode="json") for name, entry in settings.define.items()}
        definitions = check_definitions(entries, study.file.parent)
        for name in settings.benchmarks:
            entry = benchmark_entry(name, definitions)
            facts = {"benchmark": name, "region": entry.region, "metric": entry.metric, "engine": settings.engine}
            yield facts | {"protocol": protocol, "scale": scale_of(entry, protocol)}
    if study.config.accuracy:
        yield {"benchmark": VALIDATION, "region": "accuracy", "scale": NO_CORRELATION}


def _passes(value: str | None, condition: Any) -> bool:
    """Whether a filter lets a text pass; one that isn't known is not counted."""
    if value is None:
        return False
    if isinstance(condition, dict):
        return "not" not in condition or not _passes(value, condition["not"])
    return value in condition if isinstance(condition, list) else value == condition


def mapping_size_problems(study: Study, fits: Iterable[FitJob], file: Path) -> Iterator[Problem]:
    """A problem for each fit whose points would pool rows of several numbers of mapping images, unasked.

    Of regions that only files of the recordings name, a fit is taken to ask for.
    """
    sources = list(_sources_of_sizes(study))
    for job in fits:
        x = job.settings["x"]
        filters, columns = job.settings["filters"], [*([x] if isinstance(x, str) else x), *job.settings["group_by"]]
        if N_MAPPING in filters or N_MAPPING in columns:
            continue
        pooled = [f"{n} of {name}" for name, n, facts in sources if _may_pass(facts, filters)]
        if pooled:
            yield Problem(
                what="the points of this fit would pool rows of several numbers of mapping images",
                where=Place(file) / f"fit {job.name}",
                value="; ".join(pooled),
                allowed="one number a point",
                fix="take one of them, `filters: {n_mapping: ...}`, make each a point, "
                "`group_by: [run, n_mapping]`, or leave these rows out by `benchmark`",
            )


N_MAPPING = "n_mapping"
Facts = Mapping[str, Iterable[str] | None]


def _sources_of_sizes(study: Study) -> Iterator[tuple[str, int, Facts]]:
    """What has rows of several numbers of mapping images: its name, how many, and the values of columns of its rows,
    None where they are not known."""
    for entry in study.encoding:
        if len(entry.samples) > 1:
            facts = {"benchmark": _benchmarks(entry), "metric": entry.metrics, "region": _regions(entry)}
            yield entry.benchmark_of(entry.source), len(entry.samples), facts
    settings = study.brainscore
    if settings is None:
        return
    for name in settings.benchmarks:
        sizes = samples_of(settings, name)
        found = settings.define.get(name) or BENCHMARKS.get(name)
        if len(sizes) > 1 and found:
            yield name, len(sizes), {"benchmark": [name], "metric": [found.metric], "region": [found.region]}


def _benchmarks(entry: RecordingsEncoding) -> list[str] | None:
    if isinstance(entry, V4Encoding):
        return None if entry.sessions == "all" else list(entry.sessions)
    return [entry.benchmark_of("")]


def _regions(entry: RecordingsEncoding) -> list[str] | None:
    if entry.regions != "all":
        return list(entry.regions)
    match entry:
        case V4Encoding():
            return ["V4"]
        case TvsdEncoding():
            return ["V1", "V4", "IT"]
        case AlgonautsEncoding():
            return [*FMRI_REGIONS, ALL_VERTICES]
    return None


def _may_pass(facts: Facts, filters: Mapping[str, Any]) -> bool:
    """Whether filters let rows with these values pass, as far as the values are known."""
    return all(
        any(_passes(value, filters[column]) for value in values)
        for column, values in facts.items()
        if values is not None and column in filters
    )
