"""Checkpoints that others trained are read from a table or a folder of runs.

What the table says of their training is what laws are fitted to; what it doesn't say stays unknown. Light: the
Snakefile imports it.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.records import DONE, RUN_RECORD, RunRecord, read_run
from neuroscaling.core.table_files import TextTable, read_any_table
from neuroscaling.study import architectures

SERIES = ("supervised", "simclr", "dino", "adversarial", "ablation")
"""How networks were trained; ablations are supervised networks with other settings than the study's."""
URLS = ("http://", "https://")
ALL = "all"
Epochs = Literal["latest", "all"] | list[int]


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights that was trained elsewhere, and what is known of its training; None for what nobody knows.

    id: what its table calls the network, or the run that keeps it; place: the path of the file, or its URL; empty for
    weights that a run of the study will keep; sha256: of the file, where the table has it; series: how it was trained,
    one of SERIES; samples_per_class: a number or `all`; epoch: after which it was written; n_samples_seen and
    total_flops: until then; acc: a fraction of 1; ema: whether the averaged weights of the file are meant; crop: share
    of an image that it is shown; n_bytes: of the file, where the table has it.
    """

    id: str
    place: str
    arch: str
    sha256: str | None = None
    series: str = "supervised"
    dataset: str | None = None
    samples_per_class: int | str | None = None
    seed: int | None = None
    epoch: int | None = None
    n_samples: int | None = None
    n_epochs: int | None = None
    n_samples_seen: int | None = None
    total_flops: float | None = None
    acc: float | None = None
    ema: bool | None = None
    crop: float = 1.0
    n_bytes: int | None = None

    @property
    def is_url(self) -> bool:
        """Whether the file is fetched."""
        return self.place.startswith(URLS)

    @property
    def objective(self) -> str:
        """The objective of its training, as recipes have it."""
        return "supervised" if self.series == "ablation" else self.series

    def facts(self) -> dict[str, Any]:
        """What is known of its training, as JSON; not of its file."""
        known = {key: value for key, value in asdict(self).items() if key not in ("place", "sha256", "n_bytes")}
        return {**known, "objective": self.objective}


@dataclass(frozen=True)
class Selection:
    """Which checkpoints of a table are meant; None for all."""

    epochs: Epochs = "latest"
    arch: tuple[str, ...] | None = None
    arch_family: tuple[str, ...] | None = None
    dataset: tuple[str, ...] | None = None
    samples_per_class: tuple[int | str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    series: tuple[str, ...] | None = None

    def of(self, checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
        """The selected ones, in their order; of each network the latest epoch, all, or those that are listed."""
        found = [one for one in checkpoints if self._has(one)]
        if self.epochs == ALL:
            return found
        if self.epochs != "latest":
            return [one for one in found if one.epoch in self.epochs]
        latest: dict[str, Checkpoint] = {}
        for one in found:
            if one.id not in latest or (one.epoch or 0) > (latest[one.id].epoch or 0):
                latest[one.id] = one
        return [one for one in found if latest[one.id] is one]

    def _has(self, one: Checkpoint) -> bool:
        wanted = (
            (self.arch, one.arch),
            (self.dataset, one.dataset),
            (self.samples_per_class, one.samples_per_class),
            (self.seeds, one.seed),
            (self.series, one.series),
        )
        if any(values is not None and value not in values for values, value in wanted):
            return False
        return self.arch_family is None or architectures.family_of(one.arch) in self.arch_family


REQUIRED = ("id", "arch")
PLACES = ("path", "url")
WHOLE = ("seed", "epoch", "n_samples", "n_epochs", "n_samples_seen", "n_bytes")
REAL = ("total_flops", "acc", "crop")
TEXTS = ("dataset", "sha256", "series")
COLUMNS = (*REQUIRED, *PLACES, *TEXTS, "samples_per_class", *WHOLE, *REAL, "ema")
"""Columns that a table may have; others are left alone."""
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")


def table_checkpoints(path: Path, columns: Mapping[str, str]) -> list[Checkpoint]:
    """The checkpoints of a CSV or parquet table, in its order.

    columns: what the table calls a column, by the name of COLUMNS that it stands for; a column that is not renamed has
    that name. Relative paths are below the table's folder. Images seen are `n_samples` times `n_epochs` where the table
    has both and no column of its own. Raises DataError with all rows that are wrong: no architecture of this name, no
    path or URL, values that are not of their column, and a network that is there twice at one epoch.
    """
    called = {name: columns.get(name, name) for name in COLUMNS}
    table = read_any_table(path, [called[name] for name in REQUIRED])
    lacking = [given for name, given in columns.items() if given not in table.columns]
    if lacking:
        near = nearest(lacking[0], table.columns)
        allowed = listing(table.columns, 40)
        raise DataError(
            Problem(what="column is missing", where=str(path), value=lacking[0], allowed=allowed, nearest=near)
        )
    if not any(called[name] in table.columns for name in PLACES):
        allowed = " or ".join(f"`{called[name]}`" for name in PLACES)
        what = "no column says where the checkpoints are"
        raise DataError(
            Problem(what=what, where=str(path), value=listing(table.columns, 40), allowed=allowed, fix="name it")
        )
    found, problems = [], []
    for row, line in zip(table.rows, table.lines, strict=True):
        cells = {name: row.get(given, "").strip() for name, given in called.items()}
        try:
            found.append(_row(cells, path.parent, f"{path} line {line}"))
        except DataError as error:
            problems += error.problems
    problems += [] if problems else list(_twice(table, found))
    if problems:
        raise DataError(problems[:MOST_PROBLEMS])
    return found


MOST_PROBLEMS = 20


def _row(cells: Mapping[str, str], folder: Path, where: str) -> Checkpoint:
    problems = [] if cells["id"] else [Problem(what="an id is missing", where=where)]
    problems += [replace(one, where=f"{where}: arch") for one in architectures.architecture_problems(cells["arch"])]
    if not (cells["path"] or cells["url"]):
        problems.append(Problem(what="neither a path nor a URL", where=where, value=cells["id"]))
    if cells["url"] and not cells["url"].startswith(URLS):
        problems.append(Problem(what="not a URL", where=f"{where}: url", value=cells["url"], allowed="http(s)://..."))
    if cells["series"] and cells["series"] not in SERIES:
        near, allowed = nearest(cells["series"], SERIES), listing(list(SERIES))
        what = "no way of training"
        problems.append(
            Problem(what=what, where=f"{where}: series", value=cells["series"], allowed=allowed, nearest=near)
        )
    known: dict[str, Any] = {}
    for name, read, allowed in _READERS:
        try:
            known[name] = read(cells[name]) if cells[name] else None
        except ValueError:
            problems.append(
                Problem(what=f"not a value of {name}", where=f"{where}: {name}", value=cells[name], allowed=allowed)
            )
    if problems:
        raise DataError(problems)
    if known["n_samples_seen"] is None and known["n_samples"] is not None and known["n_epochs"] is not None:
        known["n_samples_seen"] = known["n_samples"] * known["n_epochs"]
    return Checkpoint(
        id=cells["id"],
        place=cells["url"] or os.path.normpath(folder / cells["path"]),
        arch=cells["arch"],
        sha256=cells["sha256"].lower() or None,
        series=cells["series"] or "supervised",
        dataset=cells["dataset"] or None,
        **{**known, "crop": 1.0 if known["crop"] is None else known["crop"]},
    )


def _whole(text: str) -> int:
    value = float(text)
    if not value.is_integer() or value < 0:
        raise ValueError(text)
    return int(text) if text.isdigit() else int(value)


def _fraction(text: str) -> float:
    if not 0 <= (value := float(text)) <= 1:
        raise ValueError(text)
    return value


def _positive(text: str) -> float:
    if not 0 <= (value := float(text)) < float("inf"):
        raise ValueError(text)
    return value


def _per_class(text: str) -> int | str:
    return ALL if text in (ALL, "full") else _whole(text) or ALL


def _truth(text: str) -> bool:
    if text.lower() not in (*TRUE, *FALSE):
        raise ValueError(text)
    return text.lower() in TRUE


_READERS = (
    *((name, _whole, "a whole number of at least 0") for name in WHOLE),
    ("total_flops", _positive, "a number of at least 0"),
    ("acc", _fraction, "a fraction of 1"),
    ("crop", _fraction, "a fraction of 1"),
    ("samples_per_class", _per_class, "a whole number, or `all`"),
    ("ema", _truth, "true or false"),
)


def _twice(table: TextTable, found: list[Checkpoint]) -> Iterator[Problem]:
    seen: dict[tuple[str, int | None, bool | None], int] = {}
    for i, one in enumerate(found):
        first = seen.setdefault((one.id, one.epoch, one.ema), i)
        if first != i:
            what, fix = "a network is there twice at one epoch", "give each row an id, or an epoch, of its own"
            yield Problem(what=what, where=f"{table.path} {table.named_lines([first, i])}", value=one.id, fix=fix)


def folder_checkpoints(folder: Path) -> list[Checkpoint]:
    """All kept weights of the finished runs in a folder, such as `runs/` of another store.

    What run.json says of a run's training is taken at each epoch in proportion to the images seen by its end. Of runs
    that are checkpoints themselves, how they were trained and are shown is what their own table said. Raises DataError
    where no folder below has a run.json, and for one that was altered.
    """
    records = sorted(folder.glob(f"*/{RUN_RECORD}"))
    if not records:
        allowed = f"folders with {RUN_RECORD} and weights, as a store's runs/ has them"
        raise DataError(Problem(what="no runs in this folder", where=str(folder), allowed=allowed))
    return [one for path in records for one in kept_weights(path)]


def kept_weights(path: Path) -> Iterator[Checkpoint]:
    """The weights that the run of the run.json at `path` kept, in the order of their epochs.

    Those of its end, of which all is known, are the last. None of a run that failed, nor of one that is itself an epoch
    of another run of its store, which has them.
    """
    record = read_run(path)
    if record.status != DONE or record.arch is None or (record.training and record.start):
        return
    known = record.training or {}
    kept = {one.file: (one.epoch, one.sha256) for one in record.checkpoints if one.file != record.weights}
    for file, (epoch, sha256) in sorted(kept.items(), key=lambda item: item[1]):
        yield _after(record, path.parent / file, sha256, epoch, epoch / record.n_epochs if record.n_epochs else None)
    if record.weights and record.weights_sha256:
        last = known.get("epoch", record.n_epochs)
        yield _after(record, path.parent / record.weights, record.weights_sha256, _int(last), 1.0)


def _after(record: RunRecord, file: Path, sha256: str, epoch: int | None, done: float | None) -> Checkpoint:
    """What a run's record says of its weights in `file`. done: share of the training, None where nobody knows."""
    seen, flops, known = record.n_samples_seen, record.total_flops, record.training or {}
    epochs = record.n_epochs if done == 1 else epoch
    return Checkpoint(
        id=record.run,
        place=str(file),
        arch=record.arch or "",
        sha256=sha256,
        series=known.get("series") or (record.recipe or {}).get("objective", "supervised"),
        dataset=record.dataset,
        samples_per_class=record.samples_per_class,
        seed=known.get("seed") if known else record.seed,
        epoch=epoch,
        n_samples=_int(record.n_samples),
        n_epochs=_int(epochs),
        n_samples_seen=None if seen is None or done is None else round(seen * done),
        total_flops=None if flops is None or done is None else flops * done,
        acc=record.acc if done == 1 else None,
        crop=known.get("crop", 1.0),
    )


def _int(number: float | None) -> int | None:
    return None if number is None else int(number)
