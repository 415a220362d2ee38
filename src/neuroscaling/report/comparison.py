"""Finished studies are laid side by side: their answers, their curves, scores of shared networks, their settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.records import read_record
from neuroscaling.core.score_table import read_score_table
from neuroscaling.laws.finished_law import FinishedLaw, read_fits
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.influence_record import Influence, read_influence
from neuroscaling.report.answer import Answer, answer_of, answer_values
from neuroscaling.report.law_figures import panel_of, shared_value
from neuroscaling.report.page_content import COLUMNS, group_title
from neuroscaling.study.paths import Results
from neuroscaling.study.session import ARTEFACTS

if TYPE_CHECKING:
    import pandas as pd

SHARED_KEYS = ["run", "benchmark", "region", "metric", "n_mapping"]
MOST_SHARED = 200
"""Scores of shared networks that the page shows, those that differ most first."""
UNTOLD = {"name", "fit", "caption", "seed"}
"""Settings of a fit in which it is no finding that two studies differ."""


@dataclass(frozen=True)
class FinishedStudy:
    """A study whose results are read. name: told apart from the others'; settings: of each fit; packages: versions."""

    name: str
    results: Results
    fits: Mapping[str, FitRecord]
    influences: Mapping[str, Influence]
    settings: Mapping[str, Mapping[str, Any]]
    packages: Mapping[str, Any]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The score table, of which the columns that are compared or counted."""
        return read_score_table(self.results.table, COLUMNS).scores

    @property
    def simulated(self) -> bool:
        """Whether some of its scores are of simulated recordings."""
        return bool(self.scores["simulated"].any())


@dataclass(frozen=True)
class Matched:
    """The laws of several studies that answer the same question, by the number of the study."""

    title: str
    answers: Mapping[int, Answer]


def read_studies(folders: Sequence[Path]) -> list[FinishedStudy]:
    """The finished studies in `folders`.

    Raises DataError with all that is wrong: fewer than two, a folder that is none, what one lacks that isn't finished.
    """
    problems = []
    if len(folders) < 2:
        what = "a comparison needs two studies or more"
        problems.append(Problem(what=what, where="STUDY", value=listing(folders), fix="name another results/<study>"))
    for folder in folders:
        problems += _problems(folder)
    if problems:
        raise DataError(problems)
    studies = [_read(Results(folder)) for folder in folders]
    count = Counter(study.name for study in studies)
    return [
        replace(study, name=f"{study.name} ({folder})") if count[study.name] > 1 else study
        for study, folder in zip(studies, folders, strict=True)
    ]


def _problems(folder: Path) -> list[Problem]:
    """What keeps a folder from being the results of a finished study."""
    results = Results(folder)
    if not folder.is_dir():
        what = "no results of a study: this is a file" if folder.exists() else "no such folder"
        return [_no_study(folder, what)]
    if not results.artefacts.is_file():
        return [_no_study(folder, "no results of a study: the folder has no artefacts.json")]
    wanted = [results.table, *map(results.fit, read_record(results.artefacts, ARTEFACTS)["fits"])]
    missing = [path.relative_to(folder).as_posix() for path in wanted if not path.is_file()]
    if not missing:
        return []
    fix = "run the study to its end (`neuroscaling status STUDY` tells what is left)"
    return [Problem(what=f"this study is not finished: {len(missing)} of its files are missing", where=str(folder),
                    value=listing(missing, 5), fix=fix)]  # fmt: skip


def _no_study(folder: Path, what: str) -> Problem:
    around = [folder.parent, Path("results")] if folder.parent.is_dir() else [Path("results")]
    known = sorted({str(file.parent) for place in around for file in place.glob("*/artefacts.json")} - {str(folder)})
    return Problem(
        what=what, where=str(folder), allowed=listing(known) or "results/<study>", nearest=nearest(folder, known),
        fix="name the folder that the study's results lie in",
    )  # fmt: skip


def _read(results: Results) -> FinishedStudy:
    content = read_record(results.artefacts, ARTEFACTS)
    names = list(content["fits"])
    words = {one["fit"]: one for one in content.get("laws", [])}
    place = {fit: number for number, fit in enumerate(words)}
    read = sorted(read_fits(map(results.fit, names)).values(), key=lambda fit: place.get(fit.fit, len(place)))
    fits = {fit.name: fit.worded(words) for fit in read}
    beside = {name: results.influence(name) for name in names}
    influences = {name: read_influence(path) for name, path in beside.items() if path.is_file()}
    return FinishedStudy(content["study"], results, fits, influences, content["fits"], content.get("packages", {}))


def matched(studies: Sequence[FinishedStudy]) -> list[Matched]:
    """The laws of all studies, those of one question together: of one name, else of one quantity, x, region and group.

    What several studies answer comes first, in the order of the first of them.
    """
    names = Counter(name for study in studies for name in study.fits)
    found: dict[tuple[Any, ...], dict[int, Answer]] = {}
    titles: dict[tuple[Any, ...], str] = {}
    for number, study in enumerate(studies):
        seen: Counter[tuple[Any, ...]] = Counter()
        for name, fit in study.fits.items():
            key: tuple[Any, ...] = (name,) if names[name] > 1 else _question(fit)
            seen[key] += 1
            key = (*key, seen[key])
            found.setdefault(key, {})[number] = answer_of(fit, study.influences.get(name))
            titles.setdefault(key, law_title(fit))
    all_matched = [Matched(titles[key], answers) for key, answers in found.items()]
    return sorted(all_matched, key=lambda one: len(one.answers) < 2)


def law_title(fit: FitRecord) -> str:
    """A law by its whole title: that of its entry, then what tells it from the entry's other laws."""
    panel = panel_of(fit)
    title, own = group_title([fit], panel.column), panel.title
    return title if not fit.by and own in (shared_value([fit], "region"), "all points") else f"{title}: {own}"


def _question(fit: FitRecord) -> tuple[Any, ...]:
    others = sorted((column, str(fit.filters[column])) for column in fit.by if column in fit.filters)
    return fit.quantity, fit.variables, shared_value([fit], "region"), fit.mode, *others


def comparison_rows(studies: Sequence[FinishedStudy]) -> list[dict[str, Any]]:
    """A row for each law of each study, those of one question below each other."""
    return [
        {"question": one.title, "study": studies[number].name, **answer_values(answer, law_title(answer.fit))}
        for one in matched(studies)
        for number, answer in one.answers.items()
    ]


def shared_scores(studies: Sequence[FinishedStudy]) -> pd.DataFrame:
    """Scores of networks that several studies scored on the same benchmark: a column for each study, means over
    subjects; `difference`: of the largest and the smallest. Those that differ most come first.
    """
    import pandas as pd

    columns = {}
    for study in studies:
        known = study.scores[study.scores["score"].notna()]
        columns[study.name] = known.groupby(SHARED_KEYS, dropna=False)["score"].mean()
    joined = pd.DataFrame(columns)
    joined = joined[joined.notna().sum(axis=1) > 1]
    joined["difference"] = joined.max(axis=1) - joined.min(axis=1)
    return joined.sort_values("difference", ascending=False, kind="stable").reset_index()


def differing_settings(studies: Sequence[FinishedStudy], pairs: Iterable[Matched]) -> list[dict[str, Any]]:
    """Settings in which laws of one question differ, and packages of other versions: what, key, value by study.

    Laws that differ in the same way are told together.
    """
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for one in pairs:
        own = {number: studies[number].settings.get(answer.fit.name, {}) for number, answer in one.answers.items()}
        for key in sorted({key for settings in own.values() for key in settings} - UNTOLD) if len(own) > 1 else ():
            values = tuple(_said(own[n].get(key)) if n in own else "–" for n in range(len(studies)))
            if len({value for n, value in enumerate(values) if n in own}) > 1:
                found.setdefault((key, values), []).append(one.title)
    rows = [{"what": listing(titles, 3), "key": key, "values": values} for (key, values), titles in found.items()]
    for package in sorted({name for study in studies for name in study.packages}):
        values = tuple(_said(study.packages.get(package)) for study in studies)
        if len(set(values)) > 1:
            rows.append({"what": "packages", "key": package, "values": values})
    return rows


def _said(value: Any) -> str:
    """A setting in words: mappings without braces."""
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_said(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return str(value)


def is_law(answer: Answer) -> bool:
    """Whether an answer has a curve to draw."""
    panel = panel_of(answer.fit)
    return isinstance(answer.fit, FinishedLaw) and panel.curve is not None and bool(panel.curve.x.size)
