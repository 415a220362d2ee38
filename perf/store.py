"""Writers and codecs for activations: seconds of wall time to write and to read one layer, and its size on the disk.

1,024 stimuli x 100,352 rectified features in float32, written in batches of 64 stimuli: by the store's own writer,
by zarr-python (its defaults, and with our chunks and shards), by tensorstore and, where it is installed, by zarr-python
with the zarrs pipeline. The floor is a plain file. Only where it says `synced` the disk is waited for; median of rounds
in which all take turns. Ours check their files (and, when read, each chunk); the peers don't. `agreement` is the
largest difference of what is read back.
"""

import importlib.util
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr
from common import quick, report, row

from neuroscaling.activations.layout import Layout
from neuroscaling.activations.shards import compressors
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.activations.zarr_writing import LayerShards, write_store

BATCH = 64


def features(n: int, p: int) -> np.ndarray:
    """Rectified features, about half of them zero."""
    return np.maximum(np.random.default_rng(0).standard_normal((n, p), dtype=np.float32), 0)


def batches(values: np.ndarray):
    """The batches, each with its first row."""
    return ((start, values[start : start + BATCH]) for start in range(0, len(values), BATCH))


def plain(folder: Path, values: np.ndarray) -> None:
    with open(folder / "values.bin", "wb", buffering=0) as file:
        for _, batch in batches(values):
            file.write(batch)


def ours(codec: str) -> Callable:
    def write(folder: Path, values: np.ndarray) -> None:
        ids = [f"s{i}" for i in range(len(values))]
        data = ({"layer": batch} for _, batch in batches(values))
        write_store(folder / "set.json", ids, data, reduction={"kind": "none"}, codec=codec)

    return write


def shards_alone(folder: Path, values: np.ndarray) -> None:
    """The shards without metadata, manifest and the check of what was written, which the others don't do either."""
    layout = Layout.of(*values.shape, codec="none")
    for shard in range(layout.shards):
        writer, (first, stop) = LayerShards(folder, {"layer": layout}, shard, folder), layout.rows(shard)
        for _, batch in batches(values[first:stop]):
            writer.append("layer", batch)
        writer.close()


def on_the_disk(write: Callable) -> Callable:
    """The same, and wait until it is on the disk."""

    def synced(folder: Path, values: np.ndarray) -> None:
        write(folder, values)
        for file in [file for file in folder.rglob("*") if file.is_file()]:
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    return synced


def zarr_default(folder: Path, values: np.ndarray) -> None:
    array = zarr.create_array(folder / "array.zarr", shape=values.shape, dtype="f4")
    for start, batch in batches(values):
        array[start : start + BATCH] = batch


def zarr_sharded(codec: str, pipeline: str, whole: bool = False) -> Callable:
    """With our chunks; `whole`: a shard is one batch, otherwise as many as ours."""

    def write(folder: Path, values: np.ndarray) -> None:
        layout = Layout.of(*values.shape, batch=BATCH)
        with zarr.config.set({"codec_pipeline.path": pipeline}):
            array = zarr.create_array(
                folder / "array.zarr",
                shape=values.shape,
                dtype="f4",
                chunks=layout.chunk,
                shards=(BATCH if whole else layout.shard_rows, layout.shard[1]),
                compressors=compressors(codec),
                fill_value=np.nan,
            )
            for start, batch in batches(values):
                array[start : start + BATCH] = batch

    return write


def tensorstore_sharded(codec: str) -> Callable:
    def write(folder: Path, values: np.ndarray) -> None:
        import tensorstore

        layout = Layout.of(*values.shape, batch=BATCH)
        inner = [{"name": "bytes", "configuration": {"endian": "little"}}]
        inner += [{"name": "zstd", "configuration": {"level": 1, "checksum": False}}] if codec == "zstd" else []
        inner += [{"name": "crc32c"}]
        sharding = {"chunk_shape": list(layout.chunk), "codecs": inner}
        metadata = {
            "shape": list(values.shape),
            "data_type": "float32",
            "fill_value": "NaN",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [BATCH, layout.shard[1]]}},
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        }
        store = {"driver": "file", "path": str(folder / "array.zarr")}
        array = tensorstore.open({"driver": "zarr3", "kvstore": store, "metadata": metadata}, create=True).result()
        for start, batch in batches(values):
            array[start : start + BATCH].write(batch).result()

    return write


ZARR, ZARRS = "zarr.core.codec_pipeline.BatchedCodecPipeline", "zarrs.ZarrsCodecPipeline"


def writers() -> dict[str, Callable]:
    """Every writer by what the table calls it."""
    found = {"plain file": plain, "zarr default": zarr_default, "shards alone": shards_alone}
    found |= {"plain file, synced": on_the_disk(plain), "shards, synced": on_the_disk(shards_alone)}
    for codec in ("none", "zstd"):
        found[f"ours {codec}"] = ours(codec)
        found[f"zarr {codec}"] = zarr_sharded(codec, ZARR, whole=True)
        found[f"tensorstore {codec}"] = tensorstore_sharded(codec)
        if importlib.util.find_spec("zarrs"):
            found[f"zarrs {codec}"] = zarr_sharded(codec, ZARRS, whole=True)
    found["zarr none, 1 of 4 batches a shard"] = zarr_sharded("none", ZARR)
    return found


def read_plain(folder: Path, shape: tuple[int, int]) -> np.ndarray:
    """A copy of a memory map: what a store without chunks, codec or checksums would cost."""
    return np.array(np.memmap(folder / "values.bin", np.float32, "r", shape=shape))


def read_zarr(folder: Path, pipeline: str = ZARR) -> np.ndarray:
    with zarr.config.set({"codec_pipeline.path": pipeline}):
        return zarr.open_array(folder / "array.zarr", mode="r")[:]


def readers(folders: dict[str, Path], shape: tuple[int, int]) -> dict[str, Callable]:
    """Reading a layer whole."""
    found = {"plain file": lambda: read_plain(folders["plain file"], shape)}
    for codec in ("none", "zstd"):
        found[f"ours {codec}"] = lambda codec=codec: open_store(folders[f"ours {codec}"] / "set.json").read("layer")
        found[f"zarr {codec}"] = lambda codec=codec: read_zarr(folders[f"zarr {codec}"])
    return found


def timed(function: Callable) -> tuple[float, object]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def size(folder: Path) -> float:
    """Megabytes of the arrays' files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def rounds(values: np.ndarray, root: Path, repeats: int) -> tuple[dict, dict, dict, dict]:
    """Median seconds of writing and of reading, megabytes, and differences of what was read, by name."""
    folders = {name: root / name.replace(" ", "-").replace(",", "") for name in writers()}
    writing: dict[str, list[float]] = {name: [] for name in folders}
    for _ in range(repeats):
        for name, write in writers().items():
            shutil.rmtree(folders[name], ignore_errors=True)
            folders[name].mkdir(parents=True)
            writing[name].append(timed(lambda write=write, name=name: write(folders[name], values))[0])
    reading: dict[str, list[float]] = {}
    difference = {}
    for _ in range(repeats):
        for name, read in readers(folders, values.shape).items():
            seconds, found = timed(read)
            reading.setdefault(name, []).append(seconds)
            difference[name] = float(np.abs(found - values).max())
    median = {name: statistics.median(times) for name, times in writing.items()}
    return (
        median,
        {k: statistics.median(v) for k, v in reading.items()},
        {k: size(v) for k, v in folders.items()},
        difference,
    )


def table(values: np.ndarray, repeats: int) -> list[dict]:
    """The lines of the comparison."""
    with tempfile.TemporaryDirectory(prefix="store-") as root:
        write, read, megabytes, difference = rounds(values, Path(root), repeats)
    rows = []
    for codec in ("none", "zstd"):
        mine, off = f"ours {codec}", difference[f"ours {codec}"]
        for peer in write:
            if peer in ("plain file", "zarr default") or (peer.endswith(codec) and peer != mine):
                rows.append(row(f"write {codec}: {peer}", write[mine], write[peer], off, "s"))
        for peer in ("plain file", f"zarr {codec}"):
            rows.append(row(f"read {codec}: {peer}", read[mine], read[peer], off, "s"))
        rows.append(row(f"size {codec}: plain file", megabytes[mine], megabytes["plain file"], off, "MB"))
    rows.append(row("shards alone: plain file", write["shards alone"], write["plain file"], 0, "s"))
    rows.append(row("shards alone: tensorstore", write["shards alone"], write["tensorstore none"], 0, "s"))
    rows.append(row("synced: plain file", write["shards, synced"], write["plain file, synced"], 0, "s"))
    several = "zarr none, 1 of 4 batches a shard"
    rows.append(row(f"write none: {several}", write["ours none"], write[several], 0, "s"))
    return rows


if __name__ == "__main__":
    small = quick(__doc__)
    report("store", table(features(*((512, 25_088) if small else (1_024, 100_352))), 3))
