"""Recordings of one's own as a user would lay them out: images, two tables, and an array in any format. SIMULATED."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import xarray
import zarr
from PIL import Image

from neuroscaling.study.own_arrays import OwnArrays
from neuroscaling.study.sections.encoding import ArraysEncoding

N_IMAGES, N_UNITS = 12, 5
UNITS: list[dict[str, Any]] = [
    {"subject": subject, "region": region}
    for subject, region in [("anna", "V1"), ("bert", "V4"), ("anna", "V4"), ("anna", "IT|late"), ("bert", "V1")]
]
ENTRY = {
    "source": "arrays",
    "name": "mine",
    "images": "images",
    "stimuli": "stimuli.csv",
    "responses": "responses.npy",
    "units": "units.csv",
    "split": {"column": "split"},
    "simulated": True,
}


def entry_of(root: Path, **changes: Any) -> ArraysEncoding:
    """The section of a study about the files below `root`; a change to None drops the key."""
    keys = {**ENTRY, "data": {"local": str(root)}, **changes}
    return ArraysEncoding.model_validate({key: value for key, value in keys.items() if value is not None})


def arrays_of(root: Path, **changes: Any) -> OwnArrays:
    """What the jobs of that section are given."""
    return OwnArrays.of(entry_of(root, **changes))


def stimulus_rows(n: int = N_IMAGES, n_test: int = 3) -> list[dict[str, Any]]:
    """Rows of a table of stimuli, the last ones for testing."""
    splits = ["train"] * (n - n_test) + ["test"] * n_test
    return [{"stimulus_id": f"s{i}", "filename": f"{i:03d}.png", "split": split} for i, split in enumerate(splits)]


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A CSV or parquet file."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
        return path
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_images(folder: Path, names: Sequence[str], size: int = 8) -> Path:
    """Images of smooth noise, each by its place in `names`."""
    folder.mkdir(parents=True)
    for i, name in enumerate(names):
        coarse = np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(folder / name)
    return folder


def write_own(
    root: Path,
    responses: np.ndarray,
    stimuli: Sequence[dict[str, Any]] | None = None,
    units: Sequence[dict[str, Any]] = UNITS,
) -> Path:
    """The files that ENTRY names. responses: (images, units) or (images, units, repetitions)."""
    rows = stimulus_rows(len(responses)) if stimuli is None else stimuli
    write_images(root / "images", list(dict.fromkeys(row["filename"] for row in rows)))
    write_table(root / "stimuli.csv", rows)
    write_table(root / "units.csv", units)
    np.save(root / "responses.npy", responses)
    return root


def write_responses(path: Path, responses: np.ndarray, labels: Sequence[str] | None = None) -> Path:
    """An array (images, units) in the format of the ending; labels: ids of the images, where the format keeps them."""
    names = ("image", "neuroid", "repetition")[: responses.ndim]
    coordinates = {} if labels is None else {"stimulus_id": ("image", list(labels))}
    data = xarray.Dataset({"responses": (names, responses)}, coords=coordinates)
    match path.suffix:
        case ".npy":
            np.save(path, responses)
        case ".parquet":
            columns = {f"unit{i}": responses[:, i] for i in range(responses.shape[1])}
            table = columns if labels is None else {"stimulus_id": list(labels), **columns}
            pyarrow.parquet.write_table(pyarrow.table(table), path)
        case ".zarr":
            group = zarr.create_group(path)
            chunks = (5, 2, 2)[: responses.ndim]
            array = group.create_array(
                "responses", shape=responses.shape, dtype=responses.dtype, chunks=chunks, dimension_names=names
            )
            array[...] = responses
            if labels is not None:
                ids = np.array(labels, dtype="U8")
                group.create_array("stimulus_id", data=ids, dimension_names=("image",))
        case ".nc":
            data.to_netcdf(path, engine="netcdf4")
        case ".cdf":
            data.to_netcdf(path, engine="scipy")
        case ".h5":
            with h5py.File(path, "w") as file:
                file["responses"] = responses
                if labels is not None:
                    file["stimulus_id"] = list(labels)
        case ".mat":  # as MATLAB writes it: the first axis together
            with h5py.File(path, "w", userblock_size=512) as file:
                stored = file.create_dataset("responses", data=responses.transpose())
                stored.attrs["MATLAB_class"] = np.bytes_(str(responses.dtype).replace("float64", "double"))
            with open(path, "rb+") as opened:
                opened.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path
