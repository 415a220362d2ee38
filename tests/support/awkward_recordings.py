"""Recordings and tables of stimuli as people have them: made out of a folder of sound ones.

SOUND ones score as the folder they were made of; each REFUSED one comes with words of the message.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

ASSEMBLY = "assy_dicarlo_MajajHong2015_public.nc"
TABLE = "stimulus_hvm-public.csv"
IMAGES = "stimulus_hvm-public"
MINE = {
    "region": "IT",
    "metric": "pls",
    "assembly": ASSEMBLY,
    "stimuli": TABLE,
    "images": IMAGES,
    "degrees": 8,
    "stratified_by": "object_name",
    "time_window": [70, 170],
    "trials": 50,
}
PREFIX = "MajajHong2015-public-00"
RENAMED = {f"{PREFIX}76": "NA", f"{PREFIX}77": "None", f"{PREFIX}78": "nan", f"{PREFIX}79": "null"}
"""Ids that pandas takes for missing values; they sort as the old ones did, so that the splits stay."""


def copied(root: Path, out: Path) -> Path:
    """A copy of the recordings and the table below `root`; images are linked."""
    out.mkdir(parents=True)
    for name in (ASSEMBLY, TABLE):
        shutil.copy(root / name, out)
    (out / IMAGES).symlink_to(root / IMAGES)
    return out


def in_table(change: Callable[[list[str]], list[str]], encoding: str = "utf-8") -> Callable[[Path], None]:
    """Changes the lines of the table."""

    def write(root: Path) -> None:
        lines = (root / TABLE).read_text(encoding="utf-8").splitlines()
        (root / TABLE).write_bytes("\n".join([*change(lines), ""]).encode(encoding))

    return write


def in_assembly(change: Callable[[xr.DataArray], xr.DataArray]) -> Callable[[Path], None]:
    """Changes the recordings."""

    def write(root: Path) -> None:
        with xr.open_dataarray(root / ASSEMBLY) as opened:
            values = opened.load()
        change(values).to_netcdf(root / ASSEMBLY)

    return write


def response(value: float) -> Callable[[Path], None]:
    """One response of the neuroid simulated-0008 (of IT) is `value`."""

    def change(values: xr.DataArray) -> xr.DataArray:
        values[83, 8] = value
        return values

    return in_assembly(change)


def with_notes(lines: list[str]) -> list[str]:
    return [f"{line},{'notes' if i == 0 else 'seen' * (i % 3 == 0)}" for i, line in enumerate(lines)]


def replaced(old: str, new: str, count: int = 0) -> Callable[[list[str]], list[str]]:
    return lambda lines: re.sub(old, new, "\n".join(lines), count=count, flags=re.M).split("\n")


def with_renamed_ids(root: Path, names: dict[str, str] = RENAMED) -> None:
    def change(lines: list[str]) -> list[str]:
        return [",".join([names.get(cell, cell) for cell in line.split(",")]) for line in lines]

    in_table(change)(root)
    in_assembly(
        lambda values: values.assign_coords(
            stimulus_id=("presentation", [names.get(s, s) for s in values["stimulus_id"].values])
        )
    )(root)


def with_text_in_bytes(root: Path) -> None:
    """As h5py, MATLAB and old versions of xarray write text: fixed numbers of characters, without an encoding."""
    in_assembly(
        lambda values: values.assign_coords(
            {
                name: (values[name].dims, np.char.encode(values[name].values.astype(str), "utf-8"))
                for name in ("stimulus_id", "neuroid_id", "region")
            }
        )
    )(root)
    with netCDF4.Dataset(root / ASSEMBLY) as dataset:
        assert dataset["region"].dtype.kind == "S" and "_Encoding" not in dataset["region"].ncattrs()


def without_list_of_coordinates(root: Path) -> None:
    """As h5py writes them: nothing says which arrays are coordinates."""
    with netCDF4.Dataset(root / ASSEMBLY, "a") as dataset:
        for variable in dataset.variables.values():
            if "coordinates" in variable.ncattrs():
                variable.delncattr("coordinates")


SOUND = {
    "empty cells in another column": in_table(with_notes),
    "byte-order mark": in_table(lambda lines: lines, "utf-8-sig"),
    "semicolons": in_table(replaced(",", ";")),
    "tabs": in_table(replaced(",", "\t")),
    "lines of Windows": in_table(lambda lines: "\r\n".join(lines).split("\n")),
    "repeated rows": in_table(lambda lines: [*lines, *lines[3:6]]),
    "empty lines": in_table(lambda lines: [*lines[:3], "", *lines[3:], ""]),
    "a class called NA": in_table(replaced("object0$", "NA")),
    "ids called NA": with_renamed_ids,
    "ids called image_id": in_table(replaced("^stimulus_id", "image_id")),
    "text in bytes": with_text_in_bytes,
    "no list of coordinates": without_list_of_coordinates,
}
TOGETHER = {
    "of a spreadsheet": (
        *("empty cells in another column", "a class called NA", "ids called NA", "repeated rows", "empty lines"),
        *("no list of coordinates", "semicolons", "byte-order mark"),
    ),
    "of other programs": ("text in bytes", "ids called image_id", "tabs", "lines of Windows"),
}
"""Several of them at once: scoring takes longer than looking."""


def in_latin_1(lines: list[str]) -> list[str]:
    return [lines[0], lines[1].replace("object0", "Würfel"), *lines[2:]]


def one_shown_alone(lines: list[str]) -> list[str]:
    return [lines[0], lines[1].replace("object0", "lone"), *lines[2:]]


def with_numbers(lines: list[str]) -> list[str]:
    return [f"{line},{'pair' if i == 0 else i // 2}" for i, line in enumerate(lines)]


def with_responses_of_text(values: xr.DataArray) -> xr.DataArray:
    return values.astype(str).astype(object)


REFUSED: dict[str, tuple[Callable[[Path], None], dict[str, object], tuple[str, ...]]] = {
    "inf": (
        response(np.inf),
        {},
        ("1 of 3840", "inf of neuroid simulated-0008 at presentation 83 (stimulus", ASSEMBLY),
    ),
    "-inf": (response(-np.inf), {}, ("-inf of neuroid simulated-0008 at presentation 83",)),
    "nan": (response(np.nan), {}, ("nan of neuroid simulated-0008 at presentation 83", ASSEMBLY)),
    "latin-1": (in_table(in_latin_1, "latin-1"), {}, (f"{TABLE}: line 2, object_name: not UTF-8", "Würfel", "UTF-8")),
    "utf-16": (in_table(lambda lines: lines, "utf-16"), {}, (TABLE, "UTF-16", "save the table as CSV in UTF-8")),
    "zero bytes": (in_table(replaced("object0", "obj\0ect")), {}, ("zero bytes",)),
    "no column": (in_table(replaced("^stimulus_id", "stimulus")), {}, (f"{TABLE}: line 1", "allowed:  stimulus_id")),
    "no file column": (in_table(replaced("filename", "file")), {}, (f"{TABLE}: line 1", "allowed:  filename")),
    "column twice": (in_table(replaced("object_name", "filename")), {}, ("columns of one name", "filename")),
    "short row": (in_table(lambda lines: [*lines[:4], "x", *lines[4:]]), {}, ("line 5: 1 cells", "3 cells")),
    "long row": (in_table(lambda lines: [lines[0], lines[1] + ",a,b", *lines[2:]]), {}, ("line 2: 5 cells",)),
    "quotation mark": (in_table(lambda lines: [*lines[:3], '"' + lines[3], *lines[4:]]), {}, ("line 4", "not a table")),
    "no id": (in_table(lambda lines: [*lines, ",a.png,object1"]), {}, ("stimulus_id: 1 empty cells", "line 82")),
    "id twice": (
        in_table(lambda lines: [*lines, lines[3].replace("object2", "object3")]),
        {},
        (f"{PREFIX}02 (line 4, line 82)", "1 ids stand for different rows"),
    ),
    "no image": (in_table(replaced("0003.png", "0003.jpg")), {}, ("0003.jpg' (line 5)", "nearest:", "0003.png")),
    "empty class": (in_table(replaced("object0$", "", 1)), {}, ("1 stimuli have an empty `object_name`",)),
    "class of one": (in_table(one_shown_alone), {}, ("1 classes of `object_name` have one image", "lone")),
    "many classes": (
        in_table(with_numbers),
        {"stratified_by": "pair"},
        ("`pair` has 41 classes for 8 test images", "at most 8"),
    ),
    "unknown column": (lambda root: None, {"stratified_by": "object"}, ("no such column", "nearest:  object_name")),
    "unknown region": (lambda root: None, {"region": "V2"}, ("no neuroid of this region", "IT, V4")),
    "window": (lambda root: None, {"time_window": [200, 300]}, ("no time bin in the window", "70 to 170")),
    "subjects": (
        lambda root: None,
        {"metric": "rdm", "stratified_by": None},
        ("compares subjects", "1 subject", "ceiling: none"),
    ),
    "shown once": (
        in_assembly(lambda values: values[values["repetition"].values == 0]),
        {},
        ("a ceiling needs repetitions", "80 stimuli, 0 shown more than once"),
    ),
    "no neuroid ids": (
        in_assembly(lambda values: values.drop_vars("neuroid_id").assign_coords(neuron=("neuroid", np.arange(12)))),
        {},
        ("coordinates are missing", "neuroid_id"),
    ),
    "responses of text": (in_assembly(with_responses_of_text), {}, ("the responses: not numbers",)),
    "times of text": (
        in_assembly(lambda values: values.assign_coords(time_bin_start=("time_bin", ["70 ms"]))),
        {},
        ("time_bin_start: not numbers",),
    ),
    "region of trials": (
        in_assembly(lambda v: v.drop_vars("region").assign_coords(region=("presentation", ["IT"] * v.shape[0]))),
        {},
        ("region: coordinate along another dimension", "found:    presentation", "allowed:  neuroid"),
    ),
    "a file for the folder": (lambda root: None, {"images": TABLE}, ("not a folder of images", TABLE)),
    "a folder for the table": (lambda root: None, {"stimuli": IMAGES}, (IMAGES, "a folder")),
    "cut short": (
        lambda root: (root / ASSEMBLY).write_bytes((root / ASSEMBLY).read_bytes()[:3000]),
        {},
        ("not a netCDF file, or cut short", ASSEMBLY),
    ),
}
"""What is changed in the files and in the definition, and words of the message."""
