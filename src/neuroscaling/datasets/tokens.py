"""How subsets are named, and whether a data set is large enough for them. Light: no arrays.

| token | strategy | images |
|---|---|---|
| `all` | all | every training image |
| `10` | per_class | ten of each class |
| `n5000` | whole_dataset | 5,000, whatever their classes |
| `c100` | sample_classes | all of 100 classes, whose labels are numbered anew |
| `p10` | published | ten of each class, drawn as in the published study |
"""

import re
from dataclasses import dataclass

from neuroscaling.errors import DataError, Problem

STRATEGIES = {"": "per_class", "n": "whole_dataset", "c": "sample_classes", "p": "published"}
ALLOWED = "`all`, or a number: `10` per class, `n5000` images, `c100` classes, `p10` per class as published"


@dataclass(frozen=True)
class Token:
    """A subset's name taken apart. number: images per class, images or classes; None for `all`."""

    strategy: str
    number: int | None

    @property
    def samples_per_class(self) -> int | str | None:
        """Images of each class, or "all"; None where classes differ."""
        if self.strategy == "all":
            return "all"
        return self.number if self.strategy in ("per_class", "published") else None


def parse_token(token: int | str, where: str = "subset") -> Token:
    """`token` taken apart. Raises DataError for one that names no subset."""
    if token == "all":
        return Token("all", None)
    match = re.fullmatch(r"([ncp]?)(-?\d+)", str(token))
    if match is None:
        raise DataError(Problem("this names no subset", where, token, ALLOWED))
    return Token(STRATEGIES[match[1]], int(match[2]))


def token_problems(name: str, counts: dict[str, int], token: int | str) -> list[Problem]:
    """What is wrong with asking for the subset `token` of classes that have `counts` images."""
    where = f"dataset {name}"
    try:
        wanted = parse_token(token, where)
    except DataError as error:
        return error.problems
    filled = sum(1 for count in counts.values() if count)
    match wanted:
        case Token("whole_dataset", int(n)):
            return _too_many(where, n, sum(counts.values()), "images")
        case Token("sample_classes", int(n)):
            return _too_many(where, n, filled, "classes with images")
        case Token(_, int(k)):
            return count_problems(name, counts, k)
    return []


def count_problems(name: str, counts: dict[str, int], samples_per_class: int) -> list[Problem]:
    """What is wrong with asking for `samples_per_class` images of classes that have `counts` images."""
    where = f"dataset {name}"
    if samples_per_class < 1:
        return [Problem("samples per class must be at least 1", where, samples_per_class, "1, 2, ... or `all`")]
    smallest = min(counts, key=lambda label: (counts[label], label), default=None)
    if smallest is None or counts[smallest] >= samples_per_class:
        return []
    return [
        Problem(
            f"class `{smallest}` has only {counts[smallest]} images",
            where,
            samples_per_class,
            f"1 to {counts[smallest]}, or `all`",
            fix="ask for fewer samples per class",
        )
    ]


def _too_many(where: str, wanted: int, there: int, what: str) -> list[Problem]:
    if 1 <= wanted <= there:
        return []
    return [Problem(f"there are {there} {what}", where, wanted, f"1 to {there}", fix=f"ask for other {what}")]
