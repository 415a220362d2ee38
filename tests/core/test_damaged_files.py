"""Damaged files of every format: each reader gives a result or one error that names the file, and comes to an end."""

import fcntl
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroscaling.core import archives, array_files, netcdf, table_files
from neuroscaling.core import files as core_files
from neuroscaling.core.errors import DataError, NeuroscalingError
from neuroscaling.recordings.nsd_betas import open_image
from neuroscaling.study.algonauts_tree import read_mapping

MUTATIONS = 120
VALUES = np.arange(60, dtype=np.float32).reshape(12, 5)


def write_npz(path: Path) -> None:
    np.savez_compressed(path, values=VALUES, names=np.array(["a", "b"]))


def write_mapping(path: Path) -> None:
    np.save(path, np.array({0: "Unknown", 1: "V1v", 2: "V1d"}, dtype=object), allow_pickle=True)


def write_json(path: Path) -> None:
    path.write_text(json.dumps({"rows": [{"a": 1.5, "b": None, "ü": "ü" * 9}] * 3, "run": "x"}), encoding="utf-8")


def write_parquet(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": ["a", "b", "a"] * 9, "number": np.arange(27), "value": np.linspace(0, 1, 27)})
    pq.write_table(table.replace_schema_metadata({b"neuroscaling": b'{"format": "x"}'}), path)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("images/image1.jpg", "images/image2.jpg"):
            file.writestr(name, np.random.default_rng(0).bytes(40) + b"0" * 300)


def write_tar(path: Path) -> None:
    with tarfile.open(path, "w") as file:
        for name in ("a.jpg", "a.cls"):
            (path.parent / name).write_bytes(b"12")
            file.add(path.parent / name, name)


def write_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("betas", data=VALUES, chunks=(4, 5), compression="gzip")


def write_nifti(path: Path) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(VALUES.reshape(3, 4, 5), np.eye(4)), path)


def write_mat(path: Path) -> None:
    from scipy.io import savemat

    savemat(path, {"ordering": np.arange(9), "shared": VALUES})


def write_safetensors(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a.weight": VALUES, "a.bias": VALUES[0].copy()}, path, metadata={"arch": "resnet_w8"})


def write_torch(path: Path) -> None:
    import torch

    torch.save({"state_dict": {"a": torch.ones(3, 2), "b": torch.zeros(2, dtype=torch.int64)}, "epoch": 3}, path)


def read_image(path: Path) -> None:
    from neuroscaling.recordings.nsd_regions import read_map

    open_image(path)
    read_map(path)


def read_zip(path: Path) -> None:
    with archives.Zip(path) as file:
        for name in file.names:
            file.read(name)


def read_tar(path: Path) -> None:
    for member in archives.tar_members(path):
        with open(path, "rb") as file:
            archives.tar_bytes(path, member, file)


def read_betas(path: Path) -> None:
    from neuroscaling.core.files import reading

    with array_files.hdf5_dataset(path, "betas") as betas, reading(path, array_files.HDF5_FILE):
        np.asarray(betas)


def read_table(path: Path) -> None:
    table = table_files.read_parquet(path, ["text"])
    table_files.parquet_metadata(table, b"neuroscaling", path)
    table_files.read_parquet_columns(path)
    table_files.read_parquet_frame(path)


FORMATS: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any]]] = {
    "a.npy": (lambda path: np.save(path, VALUES), array_files.read_npy),
    "mapped.npy": (lambda path: np.save(path, VALUES), lambda path: np.array(array_files.read_npy(path, mapped=True))),
    "a.npz": (write_npz, array_files.read_npz),
    "mapping.npy": (write_mapping, read_mapping),
    "a.json": (write_json, lambda path: core_files.require_rows(core_files.read_json(path), path)),
    "a.parquet": (write_parquet, read_table),
    "a.zip": (write_zip, read_zip),
    "a.tar": (write_tar, read_tar),
    "a.hdf5": (write_hdf5, read_betas),
    "a.nii.gz": (write_nifti, read_image),
    "a.nii": (write_nifti, read_image),
    "a.mat": (write_mat, lambda path: array_files.read_mat(path, ("ordering", "shared"))),
    "a.safetensors": (
        write_safetensors,
        lambda path: (array_files.safetensors_header(path), array_files.read_safetensors(path)),
    ),
    "a.pt": (write_torch, array_files.load_torch),
}


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """The file with bytes changed, cut off, blanked, doubled or put in front."""
    content = bytearray(whole)
    place, length = int(rng.integers(len(whole))), int(rng.integers(1, 40))
    match int(rng.integers(6)):
        case 0:
            return whole[:place]
        case 1:
            content[place : place + length] = bytes(len(content[place : place + length]))
        case 2:
            content[place:place] = whole[:length]
        case 3:
            content[place] ^= 1 << int(rng.integers(8))
        case 4:  # where headers are
            content[place % 300 % len(whole)] = int(rng.integers(256))
        case 5:
            content[-1 - place % 200 % len(whole)] = int(rng.integers(256))
    return bytes(content)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.timeout(600)
def test_a_damaged_file_gives_a_result_or_one_error_that_names_it(tmp_path, name):
    write, read = FORMATS[name]
    path = tmp_path / name
    write(path)
    read(path)
    whole, refused, rng = path.read_bytes(), 0, np.random.default_rng(len(name))
    for content in [b"", b"\0" * 100, b"PK\3\4", *(damaged(whole, rng) for _ in range(MUTATIONS))]:
        path.write_bytes(content)
        try:
            read(path)
        except NeuroscalingError as error:
            refused += 1
            assert name in str(error)
    assert refused > 3


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.timeout(300)
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, name):
    read, path = FORMATS[name][1], tmp_path / name
    with pytest.raises(DataError, match="file is missing"):
        read(path)
    os.mkfifo(path)
    with pytest.raises(DataError, match="not a file but a pipe"):
        read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="not a file but a folder"):
        read(path)


@given(text=st.text() | st.binary().map(lambda content: content.decode("latin-1")))
@settings(
    max_examples=60,
    suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture],
)
def test_any_text_is_json_or_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        core_files.require_rows(core_files.read_json(path), path)
    except DataError as error:
        assert "a.json" in str(error)


def test_arrays_of_other_types_and_archives_of_arrays_are_refused_by_name(tmp_path):
    path = tmp_path / "a.npy"
    for values in (np.array(["a", "b"]), VALUES.astype(np.float16), VALUES.astype(complex), np.zeros(3, "i4,f4")):
        np.save(path, values)
        with pytest.raises(DataError, match=rf"a\.npy: wrong type of numbers[\s\S]*{re.escape(str(values.dtype))}"):
            array_files.read_npy(path)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy: not a NumPy file"):
        array_files.read_npy(path)
    with open(path, "wb") as file:
        np.savez(file, a=VALUES)
    with pytest.raises(DataError, match="a zip archive, as"):
        array_files.read_npy(path)


def test_names_of_rois_in_bytes_are_read_as_text(tmp_path):
    np.save(tmp_path / "mapping.npy", np.array({0: b"Unknown", 1: "V1v"}, dtype=object), allow_pickle=True)
    assert read_mapping(tmp_path / "mapping.npy") == {0: "Unknown", 1: "V1v"}


def test_a_header_that_asks_for_more_than_the_file_has_takes_no_memory(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, VALUES)
    path.write_bytes(path.read_bytes().replace(b"(12, 5), }           ", b"(999999999999, 5), } "))
    with pytest.raises(DataError, match=r"a\.npy: not a NumPy file"):
        array_files.read_npy(path)


@pytest.mark.parametrize("shape", [(0,), (3, 0), ()])
def test_empty_arrays_and_single_numbers_are_read(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.ones(shape))
    assert array_files.read_npy(tmp_path / "a.npy").shape == array_files.npy_shape(tmp_path / "a.npy") == shape


def test_big_endian_and_fortran_arrays_are_read_as_they_are(tmp_path):
    for values in (VALUES.astype(">f4"), np.asfortranarray(VALUES)):
        np.save(tmp_path / "a.npy", values)
        found = array_files.read_npy(tmp_path / "a.npy")
        assert np.array_equal(found, values) and found.dtype == values.dtype and not isinstance(found, np.memmap)
        assert found.flags.f_contiguous == values.flags.f_contiguous


def test_state_dictionaries_that_hold_themselves_and_whole_modules_are_refused(tmp_path):
    import torch

    path = tmp_path / "a.pt"
    state: dict[str, Any] = {"a": torch.ones(2)}
    state["state_dict"] = state
    torch.save(state, path)
    with pytest.raises(DataError, match=r"a\.pt: containers that hold themselves"):
        array_files.load_torch(path)
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(DataError, match=r"holds a Python object[\s\S]*torch.nn.modules.linear.Linear[\s\S]*state_dict"):
        array_files.load_torch(path)
    shared = [torch.ones(2)]
    torch.save({"a": shared, "b": shared, "c": [shared, shared]}, path)
    assert len(array_files.load_torch(path)["c"]) == 2


def test_a_locked_hdf5_file_is_read_and_where_locks_are_demanded_the_variable_is_named(tmp_path):
    path = tmp_path / "a.hdf5"
    write_hdf5(path)
    with open(path, "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with array_files.hdf5_dataset(path, "betas") as betas:
            assert np.array_equal(betas[:], VALUES)
        code = "import sys; from neuroscaling.core.array_files import open_hdf5; open_hdf5(sys.argv[1])"
        environment = os.environ | {array_files.HDF5_LOCKING: "TRUE"}
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, env=environment)
    assert "file can't be locked" in done.stderr and f"set {array_files.HDF5_LOCKING}=FALSE" in done.stderr
    assert "cut short" not in done.stderr.splitlines()[-1]


@pytest.fixture
def recording(tmp_path) -> Path:
    import netCDF4

    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("presentation", 12)
        file.createDimension("neuroid", 5)
        file.createVariable("values", "f4", ("presentation", "neuroid"), zlib=True)[:] = VALUES
        file.createVariable("single", "f4", ())[...] = 3
    return path


def test_netcdf_files_are_tried_in_a_process_of_their_own(recording, tmp_path, monkeypatch):
    netcdf.require_netcdf(recording)
    whole = recording.read_bytes()
    for content in (whole[: len(whole) // 2], b"", whole[:600] + bytes(300) + whole[900:]):
        recording.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.nc: not a netCDF file, or cut short"):
            netcdf.require_netcdf(recording)
    interpreter = tmp_path / "python"
    endings = ("kill -SEGV $$", 600, "the netCDF library crashes at it"), ("exec sleep 6000", 0.5, "came to no end")
    for script, patience, said in endings:
        interpreter.write_text(f"#!/bin/sh\n{script}\n")
        interpreter.chmod(0o755)
        monkeypatch.setattr(netcdf.sys, "executable", str(interpreter))
        with pytest.raises(DataError, match=said):
            netcdf.require_netcdf(recording, patience=patience)


@pytest.mark.timeout(600)
def test_damaged_activations_give_what_was_stored_or_one_error_that_names_them(tmp_path):
    from neuroscaling.activations.zarr_reading import open_store
    from neuroscaling.activations.zarr_writing import write_store

    manifest, ids = tmp_path / "a.json", [str(i) for i in range(12)]
    write_store(manifest, ids, [{"layer": VALUES}], reduction={"kind": "none"}, keep="both")
    files, rng = sorted(path for path in tmp_path.rglob("*") if path.is_file()), np.random.default_rng(0)
    assert len(files) > 5
    for path in files:
        whole = path.read_bytes()
        for content in (damaged(whole, rng) for _ in range(12)):
            path.write_bytes(content)
            try:
                stored = open_store(manifest)
                assert np.array_equal(stored.read("layer"), VALUES) and stored.stimulus_ids == ids
                stored.gram("layer")
            except DataError as error:
                assert str(tmp_path) in str(error)
        path.write_bytes(whole)
