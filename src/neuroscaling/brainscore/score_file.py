"""The rows of a score file (docs/formats.md) are read from Brain-Score's Score objects."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.files import atomic_path
from neuroscaling.core.score_files import ScoreFile, file_beside, write_score_file

TARGETS = "targets.parquet"
TARGET_COLUMNS = ("target", "subject", "region", "n_mapping", "split", "raw", "ceiling")


@dataclass(frozen=True)
class Part:
    """One subject's (or session's, or the only) share of a score, as Brain-Score made it.

    subject: its name, or a session's, or None; score, raw, ceiling: Brain-Score's numbers; values: raw values (split,
    neuroid) or (split,), or None; ceilings: what the ceiling was aggregated from, with or without splits, or None;
    reason: why there is no score (ceilings.judged), or None.
    """

    subject: str | None
    score: float | None
    raw: float | None
    ceiling: float | None
    values: Any = None
    ceilings: Any = None
    reason: str | None = None

    def on(self, scale: str) -> float | None:
        """The score on `scale`, one that Brain-Score has now or had; None where there is a reason for none."""
        if self.reason:
            return None
        return _ratio(self.raw, self.ceiling) ** 2 if scale == "(r/c)2" else self.score

    def row(self, scale: str) -> dict[str, Any]:
        """As a row of `subjects` of a score file."""
        numbers = {"score": self.on(scale), "raw": self.raw, "ceiling": self.ceiling}
        return {"subject": self.subject, **numbers, "scale": scale, "reason": self.reason}


def parts_of(score: Any, subjects: Sequence[str], sessions: dict[str, Any] | None = None) -> list[Part]:
    """The shares of a score: of subjects, of sessions (a Score each, by name), or the whole as the only one.

    subjects: names of those whose representations are compared one by one (RSA), in their order.
    """
    if sessions:
        return [_part(name, own) for name, own in sessions.items()]
    raw = score.attrs["raw"]
    if "subject_scores" in raw.attrs:  # RSA: numbers by subject, one ceiling for all
        ceiling = number(score.attrs["ceiling"])
        values = [number(value) for value in raw.attrs["subject_scores"]]
        return [Part(str(s), _ratio(v, ceiling), v, ceiling) for s, v in zip(subjects, values, strict=True)]
    named = [name for name, own in score.attrs.items() if _is_subject(name, own)]
    return [_part(str(name), score.attrs[name]) for name in named] or [_part(None, score)]


def _is_subject(name: str, value: Any) -> bool:
    return name not in ("raw", "ceiling") and {"raw", "ceiling"} <= set(getattr(value, "attrs", {}))


def _part(subject: str | None, score: Any) -> Part:
    raw, ceiling = score.attrs["raw"], score.attrs.get("ceiling")
    values = raw.attrs.get("raw")
    ceilings = None if ceiling is None else ceiling.attrs.get("raw")
    return Part(subject, number(score), number(raw), number(ceiling), values, ceilings)


def split_rows(parts: Sequence[Part], layers: Sequence[str], n_mapping: int | None) -> list[dict[str, Any]]:
    """Raw value of each subject's splits: the median over neuroids; with the layer where there is one a split.

    n_mapping: images that the mapping was fitted on, or None.
    """
    rows: list[dict[str, Any]] = []
    for part in parts:
        if part.values is None:
            continue
        medians = part.values.median("neuroid") if "neuroid" in part.values.dims else part.values
        for split, value in enumerate(np.atleast_1d(medians.values.squeeze())):
            layer = {"layer": layers[len(rows)]} if len(set(layers)) > 1 else {}
            found = {"subject": part.subject, "n_mapping": n_mapping, "split": split, "raw": number(value)}
            rows.append(found | layer)
    return rows


def target_rows(parts: Sequence[Part], region: str, n_mapping: int | None) -> Iterator[dict[str, Any]]:
    """Raw value and ceiling of each neuroid in each split; the ceiling is the mean over the ceiling's own splits.

    n_mapping: images that the mapping was fitted on, or None.
    """
    for part in parts:
        if part.values is None or "neuroid" not in part.values.dims:
            continue
        values = part.values.squeeze([dim for dim in part.values.dims if dim not in ("split", "neuroid")])
        values = values.transpose("split", "neuroid") if "split" in values.dims else values
        targets, ceilings = _ids(values), _ceiling_of_each(values, part.ceilings)
        common = {"subject": part.subject, "region": region, "n_mapping": n_mapping}
        for split, row in enumerate(np.atleast_2d(values.values)):
            for target, raw, ceiling in zip(targets, row, ceilings, strict=True):
                numbers = {"raw": number(raw), "ceiling": number(ceiling)}
                yield {"target": target, **common, "split": split} | numbers


def main_layer(layers: Sequence[str]) -> str:
    """The layer that most splits use; of equals the one that comes first."""
    return Counter(layers).most_common(1)[0][0]


def write_score(
    path: Path,
    scores: ScoreFile,
    targets: Sequence[dict[str, Any]],
    definition: Mapping[str, Any],
    made_from: Mapping[str, str],
) -> None:
    """Write the targets' parquet, if there are targets, and then the score file, so that no score lacks its targets."""
    if targets:
        write_targets(file_beside(path, TARGETS), targets)
    whole = replace(scores, definition=dict(definition), made_from=dict(made_from))
    write_score_file(path, whole, [TARGETS] if targets else [])


def write_targets(path: Path, targets: Sequence[dict[str, Any]]) -> None:
    """Write rows of `target_rows` as parquet."""
    import pyarrow  # where it is used: it takes long to import
    import pyarrow.parquet

    texts, counts = [pyarrow.string()] * 3, [pyarrow.int32(), pyarrow.int16()]
    types = (*texts, *counts, *[pyarrow.float64()] * 2)
    schema = pyarrow.schema(list(zip(TARGET_COLUMNS, types, strict=True)))
    with atomic_path(path) as temporary:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(targets), schema), temporary)


def number(value: Any) -> float | None:
    """A float that JSON can hold; None for what is missing or not finite."""
    if value is None:
        return None
    found = float(np.asarray(value).squeeze())
    return found if np.isfinite(found) else None


def _ratio(raw: float | None, ceiling: float | None) -> float:
    """raw / ceiling, NaN where one of them is missing or the ceiling is 0; `Part.reason` says whether it counts."""
    return float("nan") if raw is None or not ceiling else raw / ceiling


def _ceiling_of_each(values: Any, ceilings: Any) -> list[float | None]:
    """Ceiling of each neuroid of `values`: by position where the ids agree, else by id."""
    targets = _ids(values)
    if ceilings is None or "neuroid" not in ceilings.dims:
        return [None] * len(targets)
    means = ceilings.mean("split") if "split" in ceilings.dims else ceilings
    ids, numbers = _ids(means), np.atleast_1d(means.values).tolist()
    if ids == targets:
        return numbers
    known = dict(zip(ids, numbers, strict=True))
    return [known.get(target) for target in targets]


def _ids(values: Any) -> list[str]:
    return [str(neuroid) for neuroid in np.atleast_1d(values["neuroid_id"].values)]
