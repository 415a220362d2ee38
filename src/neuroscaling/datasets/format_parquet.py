"""The hub's image shards are parquet files with a column of images, each as the bytes of its file, and one of labels.

`data/train-00000-of-00294.parquet` and so on, as ImageNet-1k lies there. Class names stand in the schema, under the key
`huggingface`. A row group is read as a whole and kept for the images that come next, so that images in the order of
the files cost one look at each: nothing is unpacked. What is read in random order again and again wants a pack.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import reading
from neuroscaling.core.images import rgb_pixels
from neuroscaling.datasets.format_shards import shard_paths, shard_states
from neuroscaling.datasets.labels import (
    CodedLabels,
    empty_classes,
    listed_file_state,
    number_labels,
    place_labels,
    read_class_names,
)
from neuroscaling.datasets.packed_names import numbered_names
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import NAMES_SHOWN, DatasetIndex, Format, Split

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

DIGITS_OF_ID = 7
PART = re.compile(r"-(\d{5,})-of-(\d{5,})\.parquet$")
KIND = "a parquet file"
FETCH_AGAIN = "fetch the file again"
KEPT_BYTES = 512 * 2**20
"""Images of row groups that a process keeps; the last row group is kept whatever its size."""


@dataclass(frozen=True)
class Shard:
    """What the listing takes from one file. labels: int64 or texts, (n,); names: of the classes, None: not stated;
    group: row group of each image; size: bytes of the images in its row group; both int64 (n,)."""

    labels: list[Any]
    names: list[str] | None
    group: np.ndarray
    size: np.ndarray


FILES = {"train": "data/train-*.parquet", "validation": "data/validation-*.parquet"}
"""Files of the splits below `root` where the study names no others: ImageNet-1k's on the hub."""


def parquet_pattern(settings: DatasetSettings, split: str) -> str:
    """Return what names the files of a split. Raises DataError where the folder is missing."""
    root = Path(settings.needed("root"))
    if not root.is_dir():
        raise DataError(Problem(what="folder is missing", where=str(root), fix="check `root:` in the study file"))
    return str(root / (getattr(settings, split) or FILES[split]))


def parquet_state(settings: DatasetSettings, split: str) -> Any:
    """Return size and date of each file; of the training files too, whose classes count. Raises DataError."""
    keys = ["train", *([split] if split != "train" else [])]
    states = [state for key in keys for state in shard_states(parquet_pattern(settings, key), key)]
    names = settings.class_names
    return [*states, *([listed_file_state(Path(names), "class_names")] if names else [])]


def read_parquet(settings: DatasetSettings, split: str, train_classes: Callable[[], list[str]]) -> Split:
    """Return images in the order of the files. Raises DataError with what is wrong in any of them."""
    pattern = parquet_pattern(settings, split)
    paths = shard_paths(pattern, split)
    shards, problems = [], _missing_parts(paths, pattern)
    for path in paths:
        try:
            shards.append(_read_shard(path, settings))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    stated = _stated_names(settings, paths, shards)
    found = [label for shard in shards for label in shard.labels]
    if all(isinstance(label, int) for label in found):
        labels, classes = place_labels(np.array(found, np.int64), pattern, split, stated, train_classes)
    else:
        labels, classes = number_labels(_coded(found), pattern, split, stated, train_classes)
    counts = [len(shard.group) for shard in shards]
    columns = {
        "shard": np.repeat(np.arange(len(shards)), counts),
        "row": np.concatenate([np.arange(count) for count in counts]),
        "group": np.concatenate([shard.group for shard in shards]),
        "size": np.concatenate([shard.size for shard in shards]),
    }
    return Split(numbered_names(f"{split}-", len(labels), DIGITS_OF_ID), labels, classes, columns)


def parquet_problems(settings: DatasetSettings, splits: dict[str, Split]) -> Iterator[Problem]:
    """Return classes without training images."""
    return iter(empty_classes(splits["train"], parquet_pattern(settings, "train")))


@dataclass(frozen=True)
class ParquetSource:
    """Images in row groups. columns: file, row in it and row group of each image, as `read_parquet` gives them."""

    index: DatasetIndex
    files: list[Path]
    image_column: str
    columns: dict[str, np.ndarray]
    is_encoded: ClassVar[bool] = True
    _kept: dict[int, "KeptGroups"] = field(default_factory=dict, repr=False, compare=False)

    def where(self, row: int) -> str:
        """Return file and row, for messages."""
        return f"{self.files[self.columns['shard'][row]]}: row {self.columns['row'][row]}"

    def encoded(self, row: int) -> bytes:
        """Return bytes of the image's file. Raises DataError when the parquet file is damaged, or has no bytes."""
        # A forked process opens the files anew: what reads them holds a position, and a lock may be held elsewhere.
        kept = self._kept.setdefault(os.getpid(), KeptGroups(self.files, self.image_column))
        shard, group, place = (int(self.columns[name][row]) for name in ("shard", "group", "row"))
        content = kept.image(shard, group, place)
        if content is None:
            what, fix = "no bytes of an image", "does the file name images that lie elsewhere? fetch those too"
            raise DataError(Problem(what=what, where=self.where(row), fix=fix))
        return content

    def decoded(self, row: int) -> np.ndarray:
        """Return pixels, uint8 (h, w, 3) RGB. Raises DataError when the image can't be decoded to its end."""
        return rgb_pixels(self.encoded(row), self.where(row))

    def __getstate__(self) -> dict[str, Any]:
        """Open files and what was read stay behind when a source is pickled."""
        return {**self.__dict__, "_kept": {}}


class KeptGroups:
    """Row groups of one process: the last ones that were read, up to `KEPT_BYTES`. One thread reads at a time."""

    def __init__(self, files: list[Path], image_column: str):
        self.files, self.image_column = files, image_column
        self.lock = Lock()
        self.groups: dict[tuple[int, int], tuple[int, pa.Array]] = {}
        self.opened: tuple[int, pq.ParquetFile] | None = None

    def image(self, shard: int, group: int, row: int) -> bytes | None:
        """Return the image at `row` of a file, which lies in its row group `group`. Raises DataError."""
        with self.lock:
            found = self.groups.pop((shard, group), None)
            if found is None:
                found = self._read(shard, group)
                self._make_room(found[1].nbytes)
            self.groups[shard, group] = found  # the last one used stands last
        first, images = found
        return images[row - first].as_py()

    def _make_room(self, n_bytes: int) -> None:
        held = sum(images.nbytes for _, images in self.groups.values())
        while self.groups and held + n_bytes > KEPT_BYTES:
            held -= self.groups.pop(next(iter(self.groups)))[1].nbytes

    def _read(self, shard: int, group: int) -> tuple[int, "pa.Array"]:
        """Return the row that a row group begins with, and its images as bytes."""
        path = self.files[shard]
        with reading(path, KIND, FETCH_AGAIN):
            if self.opened is None or self.opened[0] != shard:
                self.opened = (shard, _open(path))
            file = self.opened[1]
            first = sum(file.metadata.row_group(i).num_rows for i in range(group))
            column = _bytes_column(file, self.image_column)
            # Not by several threads: those of pyarrow don't outlive a fork.
            read = file.read_row_group(group, columns=[column], use_threads=False).column(0).combine_chunks()
            return first, read.field("bytes") if column != self.image_column else read


def parquet_source(settings: DatasetSettings, index: DatasetIndex, split: Split) -> ParquetSource:
    """Return rows of the files."""
    paths = shard_paths(parquet_pattern(settings, index.split), index.split)
    return ParquetSource(index, paths, settings.image_column, split.columns)


PARQUET = Format(parquet_state, read_parquet, parquet_source, parquet_problems, root="root")


def _open(path: Path) -> "pq.ParquetFile":
    import pyarrow.parquet as pq  # not while a study is parsed, where the listing is kept

    return pq.ParquetFile(path)


def _bytes_column(file: "pq.ParquetFile", column: str) -> str:
    """Return what names the bytes of the images: `image.bytes` where the column is a struct, else the column."""
    import pyarrow as pa

    return f"{column}.bytes" if pa.types.is_struct(file.schema_arrow.field(column).type) else column


def _read_shard(path: Path, settings: DatasetSettings) -> Shard:
    """Return labels and places of the images of a file. Raises DataError for a file or columns that can't be used."""
    with reading(path, KIND, FETCH_AGAIN):
        file = _open(path)
        problems = _column_problems(file, path, settings)
        if problems:
            raise DataError(problems)
        labels = file.read(columns=[settings.label_column], use_threads=False).column(0).to_pylist()
        rows, sizes = _row_groups(file, _bytes_column(file, settings.image_column))
    unlabelled = [row for row, label in enumerate(labels) if label is None]
    if unlabelled:
        what, value = f"{len(unlabelled)} images without a label", f"rows {listing(unlabelled, NAMES_SHOWN)}"
        raise DataError(Problem(what=what, where=str(path), value=value))
    return Shard(
        labels,
        _names_in_schema(file, settings.label_column),
        np.repeat(np.arange(len(rows)), rows),
        np.repeat(sizes, rows),
    )


def _column_problems(file: "pq.ParquetFile", path: Path, settings: DatasetSettings) -> list[Problem]:
    import pyarrow as pa

    types = {name: file.schema_arrow.field(name).type for name in file.schema_arrow.names}
    problems = []
    for key in ("image_column", "label_column"):
        name = getattr(settings, key)
        if name not in types:
            allowed, fix = listing(list(types)), f"set `{key}:`"
            problems.append(
                Problem(
                    what="no such column",
                    where=str(path),
                    value=name,
                    allowed=allowed,
                    nearest=nearest(name, types),
                    fix=fix,
                )
            )
    if problems:
        return problems
    image, label = types[settings.image_column], types[settings.label_column]
    inner = image.field("bytes").type if pa.types.is_struct(image) and image.get_field_index("bytes") >= 0 else image
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
        what, allowed = "a column that holds no images", "struct<bytes: binary, path: string>, or binary"
        problems.append(
            Problem(
                what=what,
                where=f"{path}: {settings.image_column}",
                value=str(image),
                allowed=allowed,
                fix="set `image_column:`",
            )
        )
    if not (pa.types.is_integer(label) or pa.types.is_string(label) or pa.types.is_large_string(label)):
        what, allowed = "a column that holds no labels", "whole numbers, or texts"
        problems.append(
            Problem(
                what=what,
                where=f"{path}: {settings.label_column}",
                value=str(label),
                allowed=allowed,
                fix="set `label_column:`",
            )
        )
    return problems


def _row_groups(file: "pq.ParquetFile", column: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of each row group, and the bytes that its images take unpacked: int64 (groups,)."""
    metadata = file.metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    place = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path == column)
    sizes = [group.column(place).total_uncompressed_size for group in groups]
    return np.array([group.num_rows for group in groups], np.int64), np.array(sizes, np.int64)


def _names_in_schema(file: "pq.ParquetFile", column: str) -> list[str] | None:
    """Return the class names that the library `datasets` writes into a schema; None where there are none."""
    content = (file.schema_arrow.metadata or {}).get(b"huggingface")
    try:
        names = json.loads(content or b"{}")["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _stated_names(settings: DatasetSettings, paths: list[Path], shards: list[Shard]) -> list[str] | None:
    """Return the class names of the study's file, or of the schemas. Raises DataError where schemas differ."""
    if settings.class_names:
        return read_class_names(Path(settings.class_names))
    first = shards[0].names
    others = [path for path, shard in zip(paths, shards, strict=True) if shard.names != first]
    if others:
        what, fix = "other class names than in the first file", "are these files of one data set?"
        value, allowed = listing(others, NAMES_SHOWN), f"those of {paths[0]}"
        raise DataError(Problem(what=what, where=str(others[0]), value=value, allowed=allowed, fix=fix))
    return first


def _missing_parts(paths: list[Path], pattern: str) -> list[Problem]:
    """Return the problem of files that say how many there are, where some are missing."""
    parts = [(match, path) for path in paths if (match := PART.search(path.name))]
    if not parts:
        return []
    total, there = int(parts[0][0][2]), {int(match[1]) for match, _ in parts}
    missing = sorted(set(range(total)) - there)
    if not missing:
        return []
    what, fix = f"{len(missing)} of {total} files are missing", "fetch them"
    return [Problem(what=what, where=pattern, value=f"parts {listing(missing, NAMES_SHOWN)}", fix=fix)]


def _coded(labels: list[Any]) -> CodedLabels:
    distinct = {label: code for code, label in enumerate(dict.fromkeys(map(str, labels)))}
    return CodedLabels(list(distinct), np.array([distinct[str(label)] for label in labels], np.int32))
