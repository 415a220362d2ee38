"""A V4 recording session as an assembly for Brain-Score's classes: netCDF, CSV and images, in a folder of its own.

`neuroscaling.brainscore.own_benchmarks` turns it into a benchmark. Source of the recordings: see v4_sessions.py.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.archives import Zip
from neuroscaling.core.array_files import read_npy
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.leases import Lease
from neuroscaling.core.provenance import provenance
from neuroscaling.core.v4_assembly_record import ASSEMBLY_MANIFEST, V4AssemblyRecord, write_v4_assembly
from neuroscaling.recordings.prepared import make_once
from neuroscaling.recordings.v4_sessions import Session, load_session
from neuroscaling.study.recording_folders import V4_IMAGE_NUMBER, V4_WINDOW, v4_session_files, v4_stimulus_id
from neuroscaling.study.recording_jobs import V4AssemblyJob

ASSEMBLY, STIMULI, IMAGES = "assembly.nc", "stimuli.csv", "images"


def write_assembly(job: V4AssemblyJob) -> Path:
    """Write a session as an assembly to the job's folder.

    Single trials with the coordinate `repetition` where the session has raw repeats, else averages (a ceiling can't
    be had from these). Stimulus ids are those of the prepared images (`210325-0001`). The job's definition is what the
    key in the name of the folder above its own is a hash of; without one that name has no key. Returns the path of the
    manifest, a record. Raises DataError as `load_session`, and for repeats that were made for some neurons only.
    """
    manifest, what = job.folder / ASSEMBLY_MANIFEST, f"assembly of V4 session {job.session}"
    return make_once(manifest, what, job.definition, lambda lease: _write(job, lease))


def _write(job: V4AssemblyJob, lease: Lease) -> None:
    root, session = job.root, job.session
    recorded = load_session(root, session)
    files = v4_session_files(session)
    raw = root / files["raw"]
    averaged = root / files["responses"]
    values, ids, repetitions = _trials(recorded, raw) if raw.is_file() else _averages(recorded, averaged)
    with atomic_path(job.folder) as folder:
        folder.mkdir(parents=True)
        names = _write_images(root / files["images"], session, folder / IMAGES)
        _write_table(folder / STIMULI, names)
        _array(values, ids, repetitions, session).to_netcdf(folder / ASSEMBLY, engine="netcdf4")
        record = V4AssemblyRecord(
            definition=job.definition,
            made_from={f"v4/{name}": f"sha256:{found}" for name, found in recorded.sha256.items()},
            sha256={name: file_sha256(folder / name) for name in (ASSEMBLY, STIMULI)},
            session=session,
            pinned=recorded.pinned,
            neuroids=values.shape[1],
            stimuli=len(recorded.stimulus_ids),
            presentations=len(values),
            repetitions=None if repetitions is None else int(repetitions.max()) + 1,
            provenance=provenance(("numpy", "xarray", "netCDF4")),
        )
        lease.check()
        write_v4_assembly(folder, record)


def _averages(session: Session, file: Path) -> tuple[np.ndarray, list[str], None]:
    # All neurons: a benchmark leaves out those that don't vary, and its score file names them.
    return read_npy(file).T, session.stimulus_ids, None


def _trials(session: Session, raw: Path) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Trials that were made (presentations, neurons), stimulus by stimulus, and which repetition each is."""
    repeats = read_npy(raw)
    made = np.isfinite(repeats)
    if (made.any(0) != made.all(0)).any():
        n = int((made.any(0) != made.all(0)).sum())
        raise DataError(Problem(what=f"{n} repeats were made for some neurons only", where=str(raw)))
    images, columns = np.nonzero(made[0])
    # Repeats are numbered without gaps: which column a trial stands in says nothing.
    numbers = np.concatenate([np.arange(n) for n in made[0].sum(1)])
    return repeats[:, images, columns].T, [session.stimulus_ids[image] for image in images], numbers


def _array(values: np.ndarray, ids: list[str], repetitions: np.ndarray | None, session: str) -> Any:
    import xarray as xr  # heavy, and needed for assemblies alone

    n = values.shape[1]
    coords: dict[str, Any] = {
        "stimulus_id": ("presentation", ids),
        "neuroid_id": ("neuroid", [f"{session}-{i:03d}" for i in range(n)]),
        "region": ("neuroid", ["V4"] * n),
        "time_bin_start": ("time_bin", [V4_WINDOW[0]]),
        "time_bin_end": ("time_bin", [V4_WINDOW[1]]),
    }
    if repetitions is not None:
        coords["repetition"] = ("presentation", repetitions)
    return xr.DataArray(values[:, :, None], coords, ("presentation", "neuroid", "time_bin"), name=f"v4_{session}")


def _write_images(archive: Path, session: str, folder: Path) -> dict[str, str]:
    """Copy the images out of their zip; returns file names by stimulus id, in the order of the numbers."""
    folder.mkdir()
    members = {}
    with Zip(archive) as file:
        for name in file.names:
            match = V4_IMAGE_NUMBER.search(name)
            if match and "__MACOSX" not in name:
                members[int(match[1])] = name
        names = {
            v4_stimulus_id(session, number): f"{v4_stimulus_id(session, number)}.jpg" for number in sorted(members)
        }
        for number, name in zip(sorted(members), names.values(), strict=True):
            (folder / name).write_bytes(file.read(members[number]))
    return names


def _write_table(path: Path, names: dict[str, str]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["stimulus_id", "filename"])
        writer.writerows(names.items())
