"""A data set is written as a pack of few large files, so that a killed job goes on where it was."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import google_crc32c
import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import content_hash, file_sha256
from neuroscaling.core.leases import held
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import read_record, write_record
from neuroscaling.datasets.decode import decode, square, squares_file
from neuroscaling.datasets.image_listing import state_key
from neuroscaling.datasets.index import file_state, open_source
from neuroscaling.datasets.pack_reading import COLUMNS, PACK_FORMAT, SHARD_FORMAT, check_form, manifest_file
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import FAULTS_SHOWN, FileSource, Source

PACKAGES = ("numpy", "torch", "pillow")
QUALITY = 90
SHARD_IMAGES = 8192  # of a shard of files: 200 MB at 256 pixels
SHARD_BYTES = 2**30  # of a decoded shard


def write_pack(
    name: str,
    settings: DatasetSettings,
    split: str,
    folder: Path,
    size: int | None = 256,
    form: Literal["jpeg", "decoded"] = "jpeg",
    threads: int | None = None,
    cache_dir: Path | None = None,
) -> Path:
    """Store one split of the data set `name` in `folder`; returns the path of its manifest, `<split>.json`.

    form: `jpeg`: images whose short side is longer than `size` pixels are made that small (bilinear, antialiased) and
    encoded with quality 90, the others are stored as they are; `decoded`: central squares of `size`, as pixels. size
    None: all files as they are. threads: by default one for each processor; cache_dir: as for `load_index`. Shards
    that are there from an earlier call are kept, unless the size or date of one of their files has changed. Of several
    processes one packs, and the others wait for it. Raises DataError when more images are corrupt than the data set's
    `corrupt_limit`, naming them.
    """
    check_form(form, size)
    folder = Path(folder)
    with held(manifest_file(folder, split), f"the {split} images of the pack {folder}"):
        for left in folder.glob(f".{split}*.partial"):  # of a writer that is dead
            left.unlink(missing_ok=True)
        _write(name, settings, split, folder, size, form, threads, cache_dir)
    return manifest_file(folder, split)


def _write(
    name: str,
    settings: DatasetSettings,
    split: str,
    folder: Path,
    size: int | None,
    form: str,
    threads: int | None,
    cache_dir: Path | None,
) -> None:
    source = open_source(name, settings, split, cache_dir=cache_dir)
    facts: dict[str, Any] = {
        "format": PACK_FORMAT,
        "dataset": name,
        "fingerprint": source.index.fingerprint,
        "split": split,
        "form": form,
        "size": size,
        "quality": QUALITY,
    }
    state = state_key(name, settings, [split])
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        shards = enumerate(_shards(len(source.index), form, size))
        stem = folder / split
        records = [_shard(source, rows, Path(f"{stem}-{i:05d}"), facts, state, pool) for i, rows in shards]
    _refuse(name, [Problem(**fault) for record in records for fault in record["corrupt"].values()], settings)
    facts |= {"class_names": source.index.class_names, "n_images": len(source.index)}
    facts |= {"provenance": {"versions": provenance(PACKAGES)["versions"]}}
    write_record(manifest_file(folder, split), facts | _files(source, records, folder / f"{split}.parquet"))


def _shards(n: int, form: str, size: int | None) -> Iterator[range]:
    """Return the images of each shard, in their order."""
    at_once = SHARD_IMAGES if form == "jpeg" or size is None else max(1, SHARD_BYTES // (size * size * 3))
    return (range(start, min(start + at_once, n)) for start in range(0, n, at_once))


def _shard(
    source: Source, rows: range, stem: Path, facts: dict[str, Any], state: str, pool: Executor
) -> dict[str, Any]:
    """The record of a shard, which is written unless it is there: file, bytes, sha256, lengths, checksums and faults.

    It is written anew when its images have changed: the fingerprint tells neither of validation images nor of a file
    of a large set that took the place of a corrupt one.
    """
    data = stem.with_suffix(".bin" if facts["form"] == "jpeg" else ".npy")
    record_file = stem.with_suffix(".json")
    images = [file_state(source.path(row)) for row in rows] if isinstance(source, FileSource) else state
    key = content_hash([facts, [source.index.image_ids[row] for row in rows], images], 32)
    if record_file.exists() and data.exists():
        record = _record(record_file)
        if record.get("key") == key and record.get("bytes") == data.stat().st_size:
            return record
    with atomic_path(data) as temporary:
        if facts["form"] == "jpeg":
            sums, faults = _write_files(source, rows, temporary, facts["size"], pool)
        else:
            sums, faults = _write_pixels(source, rows, temporary, facts["size"], pool)
    corrupt = {str(row): {"what": fault.what, "where": str(fault.where)} for row, fault in faults.items()}
    record = {"format": SHARD_FORMAT, "key": key, "file": data.name, "bytes": data.stat().st_size}
    lengths, crcs = (list(column) for column in zip(*sums, strict=True))
    record |= {"sha256": file_sha256(data), "lengths": lengths, "crc32c": crcs, "corrupt": corrupt}
    write_record(record_file, record)
    return record


def _record(path: Path) -> dict[str, Any]:
    """Return what was written of a shard; empty where it can't be read, so that the shard is written anew."""
    try:
        return read_record(path, SHARD_FORMAT)
    except DataError:
        return {}


def _write_files(
    source: Source, rows: range, path: Path, size: int | None, pool: Executor
) -> tuple[list[tuple[int, int]], dict[int, Problem]]:
    """Image files one after another; length in bytes (0 where it is corrupt) and CRC-32C of each, and the faults."""
    sums, faults = [], {}
    with open(path, "wb") as file:
        for row, content in zip(rows, pool.map(lambda row: _file(source, row, size), rows), strict=True):
            if isinstance(content, Problem):
                faults[row], content = content, b""
            file.write(content)
            sums.append((len(content), google_crc32c.value(content)))
    return sums, faults


def _write_pixels(
    source: Source, rows: range, path: Path, size: int, pool: Executor
) -> tuple[list[tuple[int, int]], dict[int, Problem]]:
    """Squares in an .npy file; 1 (0 where it is corrupt) and CRC-32C of each, and the faults."""
    out = squares_file(path, len(rows), size)

    def write(row: int) -> int | Problem:
        try:
            pixels = square(decode(source, row), size).permute(1, 2, 0).numpy()
        except DataError as error:
            return error.problems[0]
        out[row - rows.start] = pixels
        return google_crc32c.value(pixels.tobytes())

    found = dict(zip(rows, pool.map(write, rows), strict=True))
    out.flush()
    sums = [(0, 0) if isinstance(crc, Problem) else (1, crc) for crc in found.values()]
    return sums, {row: fault for row, fault in found.items() if isinstance(fault, Problem)}


def _file(source: Source, row: int, size: int | None) -> bytes | Problem:
    """Return the file that is stored for an image, or what is wrong with it."""
    try:
        image = decode(source, row)
    except DataError as error:
        return error.problems[0]
    short = min(image.shape[1:])
    if source.is_encoded and (size is None or short <= size):
        return source.encoded(row)
    stored = BytesIO()
    if size is None or short <= size:  # there are only pixels: keep them exactly
        _picture(image).save(stored, "PNG")
    else:
        sides = [max(size, round(side * size / short)) for side in image.shape[1:]]
        image = functional.interpolate(image[None], sides, mode="bilinear", antialias=True)[0]
        _picture(image).save(stored, "JPEG", quality=QUALITY)
    return stored.getvalue()


def _files(source: Source, records: list[dict[str, Any]], path: Path) -> dict[str, Any]:
    """Return what the manifest says of the index, which is written to `path`, of the shards and of corrupt images."""
    # It takes a third of a second, and workers that decode images do without.
    import pyarrow as pa
    import pyarrow.parquet as pq

    lengths = [np.array(record["lengths"], np.int64) for record in records]
    in_bytes = records[0]["file"].endswith(".bin")
    offsets = [np.cumsum(part) - part if in_bytes else np.arange(len(part)) for part in lengths]
    shard = np.repeat(np.arange(len(records)), [len(part) for part in lengths])
    names = pa.array(source.index.image_ids, pa.string())
    crcs = np.concatenate([np.array(record["crc32c"], np.uint32) for record in records])
    values = (names, source.index.labels, shard, np.concatenate(offsets), np.concatenate(lengths), crcs)
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(dict(zip(COLUMNS, values, strict=True))), temporary)
    index = {"file": path.name, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
    shards = [{key: record[key] for key in ("file", "bytes", "sha256")} for record in records]
    corrupt = [source.index.image_ids[int(row)] for record in records for row in record["corrupt"]]
    return {"index": index, "shards": shards, "corrupt": corrupt}


def _refuse(name: str, problems: list[Problem], settings: DatasetSettings) -> None:
    limit = settings.corrupt_limit
    if len(problems) <= limit:
        return
    what, allowed = f"{len(problems)} images can't be decoded", f"corrupt_limit: {limit}"
    fix = "replace these files or move them away, or raise the data set's `corrupt_limit`; what is packed stays"
    raise DataError([Problem(what=what, where=f"dataset {name}", allowed=allowed, fix=fix), *problems[:FAULTS_SHOWN]])


def _picture(image: torch.Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
