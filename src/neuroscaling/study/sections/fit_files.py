"""A file of fits says which laws to fit to which rows of the score table.

It is read whenever the Snakefile is parsed.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from neuroscaling.core.dotted_paths import find_path
from neuroscaling.core.errors import Fault, Problem, StudyError, listing, nearest
from neuroscaling.core.file_names import distinct_name
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.score_table import COLUMNS
from neuroscaling.study.sections.fits import OWN_FORM, Fit
from neuroscaling.study.sections.key_types import SHAPE_ONLY, Section
from neuroscaling.study.sections.validation import validated
from neuroscaling.study.sections.yaml_document import Document, read_document

# Columns of the tables published with Gokce & Schrimpf 2025 that ours have not.
PUBLISHED_COLUMNS = [
    "model_id", "benchmark_id", "benchmark_name", "is_ssl", "ssl_method", "is_ablation", "is_open_clip", "is_adv",
    "adv_method", "ckpt", "epochs", "total_flops_pretrained", "scored_at",
]  # fmt: skip
KNOWN_COLUMNS = [*COLUMNS, *PUBLISHED_COLUMNS]
LONGEST_NAME = 200
SAID_ELSEWHERE = {"by", "form", "forms", "name", "filters", "modes", "corrected", "title", "caption"}
"""Keys of a fit that its settings hold in another way, or that say nothing of the law."""


class FitFile(Section):
    """A file of fits: `fits:` holds a list."""

    fits: list[Fit] = Field(description="The laws to fit.")


@dataclass(frozen=True)
class FitJob:
    """One law to fit: its name and its settings, a dictionary that JSON can hold.

    words: what the report says of the laws of its entry: title, caption, and `by`, the columns whose values tell them
    apart. They are no settings: other words fit nothing anew.
    """

    name: str
    settings: dict[str, Any]
    words: dict[str, Any]


def load_fit_file(path: str | Path, further: Collection[str] | None = ()) -> FitFile:
    """Read and check a file of fits; further: see `read_fit_file`. Raises StudyError with all that is wrong with it."""
    fit_file, document, faults = read_fit_file(path, further)
    if fit_file is not None:
        faults = [*faults, *same_names([(fit_file, document)])]
    if faults or fit_file is None:
        raise StudyError(document.problems(faults))
    return fit_file


def read_fit_file(
    path: str | Path, further: Collection[str] | None = ()
) -> tuple[FitFile | None, Document, list[Fault]]:
    """What can be used of a file of fits, its document, and what is wrong with it, except for names that are there
    twice (`same_names`). further: columns that the study's table has beside those of every score table, None where
    nobody knows. Raises StudyError where the file is missing or no YAML.
    """
    document = read_document(path, "file of fits", "correct the path under `fits:`")
    found, left, faults = validated(FitFile, document)
    if found is not None:
        columns = (Fault(left.in_file(fault.location), fault.problem) for fault in _column_faults(found, further))
        titles = (Fault(left.in_file(fault.location), fault.problem) for fault in _title_faults(found))
        faults = [*faults, *columns, *titles]
    return found, left, faults


def same_names(files: list[tuple[FitFile, Document]]) -> Iterator[Fault]:
    """Fits of one name, in one file or in several, at the later one's place; and names too long for a file.

    The faults are of the last of `files`; those of the others have been told.
    """
    seen: dict[str, str] = {}
    for n, (fit_file, document) in enumerate(files, start=1):
        for i, fit in enumerate(fit_file.fits):
            if any(fit.contradictions()):
                continue
            place = document.in_file(("fits", i, "name"))
            for name in _names(fit):
                at = str(document.at(place))
                fault = _name_fault(name, seen.get(name, ""))
                if fault and n == len(files):
                    yield Fault(place, fault)
                seen.setdefault(name, at)


def expand_fits(fit_file: FitFile, of_losses: bool = False) -> list[FitJob]:
    """The laws to fit, one for each value of `by`, in the order of the file.

    of_losses: whether the scores of the study are losses, which laws describe themselves unless a fit says otherwise.
    """
    return [job for fit in fit_file.fits for job in _jobs(fit, of_losses)]


def _jobs(fit: Fit, of_losses: bool) -> Iterator[FitJob]:
    for one, name, values in _expanded(fit):
        common = one.model_dump(mode="json", exclude=SAID_ELSEWHERE)
        filters = {**one.filters, **dict(zip(one.by, values, strict=True))}
        if of_losses and one.y == "score" and "invert_y" not in one.model_fields_set:
            common["invert_y"] = False
        settings = {**common, "name": name, "fit": fit.name, "forms": one.all_forms(), "filters": filters}
        # The module of a form of one's own is part of the settings, so that an edited form is fitted again.
        own = {form: file_sha256(find_path(form, "form", OWN_FORM).file) for form in one.all_forms() if ":" in form}
        words = {"title": fit.title, "caption": fit.caption, "by": list(one.by)}
        yield FitJob(name, settings | ({"own_forms": own} if own else {}), words)


def _names(fit: Fit) -> Iterator[str]:
    return (name for _, name, _ in _expanded(fit))


def _expanded(fit: Fit) -> Iterator[tuple[Fit, str, tuple[Any, ...]]]:
    """A fit in each of its modes, with the name of its job and its values of `by`, for each of their combinations."""
    for mode in fit.modes or [fit.mode]:
        one = fit.in_mode(mode)
        ending = [mode] if len(fit.modes) > 1 and mode == "corrected" else []
        for values in product(*one.by.values()):
            yield one, ".".join([fit.name, *(distinct_name(str(value)) for value in values), *ending]), values


def _name_fault(name: str, other: str) -> Problem | None:
    if len(name) > LONGEST_NAME:
        allowed = f"{LONGEST_NAME} characters, the name and its values of `by` together"
        return Problem(what="too long for the name of a file", where="", value=name, allowed=allowed)
    if other:
        return Problem(
            what="two fits of one name", where="", value=name, fix=f"rename one of them; the other is in {other}"
        )
    return None


def _title_faults(fit_file: FitFile) -> Iterator[Fault]:
    """Entries that have the title of another one: most often it came with `<<: *other`."""
    seen: dict[str, str] = {}
    for i, fit in enumerate(fit_file.fits):
        if fit.title in seen:
            fix = f'give {fit.name} a title of its own, or `title: ""` for one made of words'
            what = f"two fits of one title; the other is {seen[fit.title]}"
            yield Fault(("fits", i, "title"), Problem(what=what, where="", value=fit.title, fix=fix))
        elif fit.title:
            seen[fit.title] = fit.name


def _column_faults(fit_file: FitFile, further: Collection[str] | None) -> Iterator[Fault]:
    columns_known = list(dict.fromkeys((*KNOWN_COLUMNS, *sorted(further or ()))))
    numbers = [name for name, kind in COLUMNS.items() if kind not in ("string", "bool")]
    for i, fit in enumerate(fit_file.fits):
        named = [item for one in _views(fit) for item in one.columns().items()]
        for key in dict.fromkeys(key for key, _ in named):
            for column in dict.fromkeys(column for other, columns in named if other == key for column in columns):
                place = ("fits", i, key, column) if key in ("filters", "by") else ("fits", i, key)
                if column not in columns_known and further is not None:
                    known, near = listing(columns_known, 60), nearest(column, columns_known)
                    yield Fault(
                        place, Problem(what="unknown column", where="", value=column, allowed=known, nearest=near)
                    )
                elif key in ("x", "compute", "through") and COLUMNS.get(column) in ("string", "bool"):
                    yield Fault(
                        place,
                        Problem(
                            what="this column holds no numbers", where="", value=column, allowed=listing(numbers, 40)
                        ),
                    )
        for column in sorted(set(fit.by) & set(fit.filters)):
            problem = Problem(
                what="this column is filtered twice", where="", value=column, fix="drop it from `filters`"
            )
            yield Fault(("fits", i, "by", column), problem)
        for key, column, value in _conditions(fit):
            if what := _unlike_column(column, value):
                fix = f"write '{value}' in quotes" if isinstance(value, int | float) else ""
                yield Fault(("fits", i, key, column), Problem(what=what, where="", value=value, fix=fix))


def _views(fit: Fit) -> list[Fit]:
    """A fit in each of its modes, as far as it is one there."""
    found = []
    for mode in fit.modes or [fit.mode]:
        with suppress(ValidationError):  # told as a contradiction of `corrected`
            found.append(Fit.model_validate(fit.settings_in_mode(mode), context={SHAPE_ONLY: True}))
    return found


def _conditions(fit: Fit) -> Iterator[tuple[str, str, Any]]:
    """Key, column and each single value that `filters` and `by` compare a column with."""
    for column, condition in fit.filters.items():
        yield from (("filters", column, value) for value in single_values(condition))
        yield from (("filters", column, condition[b]) for b in ("min", "max") if isinstance(condition, dict)
                    and b in condition)  # fmt: skip
    for column, values in fit.by.items():
        yield from (("by", column, value) for value in values)


def single_values(condition: Any) -> list[Any]:
    """The values that a filter compares with, those behind `not` too; not `min` and `max`."""
    if isinstance(condition, dict):
        return single_values(condition["not"]) if "not" in condition else []
    return condition if isinstance(condition, list) else [condition]


def _unlike_column(column: str, value: Any) -> str:
    """What is wrong with a value that no row can have since its column holds another kind of values."""
    kind = COLUMNS.get(column)
    if kind == "string" and not isinstance(value, str):
        return "this column holds texts: no row has a value of another kind"
    if kind == "bool" and not isinstance(value, bool):
        return "this column holds true and false: no row has another value"
    if kind not in (None, "string", "bool") and (isinstance(value, bool) or not isinstance(value, int | float)):
        return "this column holds numbers: no row has a value of another kind"
    return ""
