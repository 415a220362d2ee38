"""The name of a subset, a seed and the images' ids alone decide which images it has.

| token | strategy | images |
|---|---|---|
| `all` | all | every training image |
| `10` | per_class | ten of each class |
| `n5000` | whole_dataset | 5,000, whatever their classes |
| `c100` | sample_classes | all of 100 classes, whose labels are numbered anew |
| `p10` | published | ten of each class, drawn as in the published study |

For one seed the images of a smaller subset are among those of a larger one of the same strategy, and the order in
which files are found has no part in the choice. Only `published` differs: it repeats the draw of the published study
(the paper's code, `training/src/dataloaders/utils.py`, `subsample_dataset`), whose subsets are not nested.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.datasets.packed_names import encoded_names
from neuroscaling.datasets.split import DatasetIndex

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
        raise DataError(Problem(what="this names no subset", where=where, value=token, allowed=ALLOWED))
    return Token(STRATEGIES[match[1]], int(match[2]))


def token_problems(name: str, counts: dict[str, int], token: int | str) -> list[Problem]:
    """Return what is wrong with asking for the subset `token` of classes that have `counts` images."""
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
    """Return what is wrong with asking for `samples_per_class` images of classes that have `counts` images."""
    where = f"dataset {name}"
    if samples_per_class < 1:
        return [
            Problem(
                what="samples per class must be at least 1",
                where=where,
                value=samples_per_class,
                allowed="1, 2, ... or `all`",
            )
        ]
    smallest = min(counts, key=lambda label: (counts[label], label), default=None)
    if smallest is None or counts[smallest] >= samples_per_class:
        return []
    return [
        Problem(
            what=f"class `{smallest}` has only {counts[smallest]} images",
            where=where,
            value=samples_per_class,
            allowed=f"1 to {counts[smallest]}, or `all`",
            fix="ask for fewer samples per class",
        )
    ]


def _too_many(where: str, wanted: int, there: int, what: str) -> list[Problem]:
    if 1 <= wanted <= there:
        return []
    return [
        Problem(
            what=f"there are {there} {what}",
            where=where,
            value=wanted,
            allowed=f"1 to {there}",
            fix=f"ask for other {what}",
        )
    ]


def draw(index: DatasetIndex, samples_per_class: int | Literal["all"], seed: int) -> np.ndarray:
    """Return rows of `index` (int64, sorted) with `samples_per_class` images of each class, or all images.

    Within a class, images are ranked by sha256 of seed and image id. Raises DataError when a class has too few.
    """
    return draw_token(index, samples_per_class, seed)


def draw_token(index: DatasetIndex, token: int | str, seed: int) -> np.ndarray:
    """Return rows of `index` (int64, sorted) of the subset `token` (`tokens.py` has all).

    Images, and for `c100` classes, are ranked by sha256 of seed and id. Raises DataError when there are too few.
    """
    counts = np.bincount(index.labels, minlength=len(index.class_names))
    problems = token_problems(index.name, dict(zip(index.class_names, counts.tolist(), strict=True)), token)
    if problems:
        raise DataError(problems)
    match parse_token(token):
        case Token("whole_dataset", int(n)):
            return np.sort(np.argsort(_ranks(index.image_ids, seed), kind="stable")[:n])
        case Token("sample_classes", int(n)):
            filled = np.flatnonzero(counts)
            order = np.argsort(_ranks([index.class_names[label] for label in filled], seed), kind="stable")
            return np.flatnonzero(np.isin(index.labels, filled[order[:n]]))
        case Token("published", int(k)):
            return _published(index.labels, k, seed)
        case Token("per_class", int(k)):
            ranked = np.lexsort((_ranks(index.image_ids, seed), index.labels))
            starts = np.cumsum(counts) - counts
            return np.sort(np.concatenate([ranked[start : start + k] for start in starts]))
    return np.arange(len(index), dtype=np.int64)


def validation_rows(index: DatasetIndex, class_names: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the images of `class_names` (None: of all), and their labels as positions in `class_names`; int64 (n,).

    Raises DataError when a class is not in `index`.
    """
    if class_names is None:
        return np.arange(len(index), dtype=np.int64), index.labels
    positions = {name: position for position, name in enumerate(class_names)}
    missing = sorted(set(positions) - set(index.class_names))
    if missing:
        raise DataError(
            Problem(
                what=f"classes that have no {index.split} images", where=f"dataset {index.name}", value=listing(missing)
            )
        )
    renumbered = np.array([positions.get(name, -1) for name in index.class_names], np.int64)[index.labels]
    rows = np.flatnonzero(renumbered >= 0)
    return rows, renumbered[rows]


def _ranks(names: Sequence[str], seed: int) -> np.ndarray:
    """Return the first 64 bits of sha256 of seed and name: sorted by them, names are in the order of their hashes."""
    prefix = f"{seed}\0".encode()
    heads = (int.from_bytes(hashlib.sha256(prefix + name).digest()[:8]) for name in encoded_names(names))
    return np.fromiter(heads, np.uint64, len(names))


def _published(labels: np.ndarray, k: int, seed: int) -> np.ndarray:
    """As if numpy's global generator were seeded by `seed` and then used for nothing but this draw."""
    random = np.random.RandomState(seed)
    by_class = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])
    first_seen = labels[np.sort(np.unique(labels, return_index=True)[1])]
    return np.sort(np.concatenate([random.choice(by_class[label], k, replace=False) for label in first_seen]))
