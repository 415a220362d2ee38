"""Published weights: where they come from, where their files lie, and how images are shown to them.

Read from a table and not from the libraries, so that names can tell weights apart without importing torch, and an
upgrade changes neither weights nor pixels under a name. `python -m tools.network_tables` writes
`published_weights.txt` anew; do so when either is upgraded. What a package holds is not fetched (`packaged_weights`).
"""

import os
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from neuroscaling.core.array_files import SAFETENSORS_METADATA, safetensors_header
from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.hashing import file_sha256, kept_sha256
from neuroscaling.study import architectures
from neuroscaling.study.packaged_weights import packaged_problems, packaged_weights

PUBLISHED_WEIGHTS = Path(__file__).with_suffix(".txt")
HUB_PREFIX = "hf-hub:"
OFTEN = "hub"
"""In the table: what is at timm's own place of the hub, under its full name."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COLOURS = {
    "imagenet": IMAGENET,
    "halves": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
"""Means and standard deviations by what the table calls them; it has others in numbers."""


@dataclass(frozen=True)
class Presentation:
    """How images are shown to published weights: resized, the middle `crop` of them, less `mean`, by `std`."""

    interpolation: str
    crop: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def settings(self) -> dict[str, Any]:
        """As JSON has it, for definitions."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}


def published_weights(arch: str) -> dict[str, str]:
    """The full name of the published weights of `arch`, and where they come from: a package, a hub or a URL.

    Those of a package have their sha256 too.
    """
    name = architectures.with_tag(arch)
    if held := packaged_weights(arch):
        return {"name": name, "source": held.source, "sha256": held.sha256}
    source = _published_weights_rows().get(name, ("", ""))[0]
    return {"name": name, "source": f"{HUB_PREFIX}timm/{name}" if source == OFTEN else source}


def presentation(arch: str) -> Presentation | None:
    """How images are shown to the published weights of `arch`; None for what neither timm nor torchvision has."""
    if (found := _published_weights_rows().get(architectures.with_tag(arch))) is None:
        return None
    interpolation, crop, colours = found[1].split(" ", 2)
    mean, std = COLOURS[colours] if colours in COLOURS else (_numbers(part) for part in colours.split(" "))
    return Presentation(interpolation, float(crop), mean, std)


@cache
def _published_weights_rows() -> dict[str, tuple[str, str]]:
    lines = PUBLISHED_WEIGHTS.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {name: (source, shown) for name, source, shown in rows}


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


SAFETENSORS = ".safetensors"
SUFFIXES = (SAFETENSORS, ".bin", ".pt", ".pth", ".pkl")
# What a copy of a model's folder on the hub has.
HUB_FILES = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
# Official files of architectures that no hub has, and where they come from.
OFFICIAL = {"one_peace_vision": ("one-peace-vision.pkl", "one-peace.pt")}
SOURCES = {"one_peace_vision": "the README of OFA-Sys/ONE-PEACE on GitHub (Apache License 2.0)"}
ABSENT = "absent"
"""What a name says of weights that are not there yet."""
POINTER = b"version https://git-lfs"


def weights_file(path: Path, arch: str) -> Path | None:
    """The file that holds the weights of `arch`, where a study names `path`, `<folder>/<arch>.safetensors`.

    In this order: `path` itself; the same name as .bin, .pt, .pth or .pkl; `<folder>/<arch>/` as the hub's folder has
    it; an official file. None where there is none.
    """
    return next((file for file in _places(path, arch) if file.is_file()), None)


def weights_problems(arch: str, path: Path | None, cache: Path | None = None) -> list[Problem]:
    """What is wrong with the weights file of `arch` without reading its tensors; nothing where it will be fetched.

    path: as of `weights_file`; None where the study names no folder; cache: folder that checksums are kept in. Found
    are: a missing file, a package that is missing or another one, weights that can't be fetched, a file that is cut
    short or of another kind, a pointer of git-lfs, and another architecture by the file's own word.
    """
    if path is None:
        held = packaged_weights(arch)
        return packaged_problems(held, cache) if held else _unfetchable(arch)
    file = weights_file(path, arch)
    if file is None:
        near = nearest(path.name, [name for name in _listdir(path.parent) if name.endswith(SUFFIXES)])
        looked = listing([one.relative_to(path.parent).as_posix() for one in _places(path, arch)], 20)
        fix = f"put the file there, or link it; it comes from {SOURCES[arch]}" if arch in SOURCES else ""
        fix = fix or "put the file there as it comes from the hub, or drop `weights:` to let timm fetch it"
        return [
            Problem(
                what="weights are missing",
                where=str(path.parent),
                value=arch,
                allowed=f"one of {looked}",
                nearest=near,
                fix=fix,
            )
        ]
    return list(_weight_file_faults(file, arch))


def path_in(folder: Path, arch: str) -> Path:
    """The path that a study names for the weights of `arch` by naming their folder; for `weights_file`."""
    return folder / f"{architectures.without_size(arch)}{SAFETENSORS}"


def weights_identity(path: Path, arch: str, cache: Path | None = None) -> str:
    """sha256 of the file that holds the weights of `arch`, or `absent`. cache: folder that hashes are kept in."""
    file = weights_file(path, arch)
    return ABSENT if file is None else kept_sha256(file, cache)


def require_sha256(file: Path, sha256: str) -> None:
    """Raise DataError, naming both, unless a file of weights is the one that the run was named after."""
    found = file_sha256(file)
    if found != sha256:
        what = "these are not the weights that the run is named after"
        fix = "they were changed or added since the study was started: start it again, and it names them anew"
        raise DataError(
            Problem(what=what, where=str(file), value=f"sha256 {found}", allowed=f"sha256 {sha256}", fix=fix)
        )


def _unfetchable(arch: str) -> list[Problem]:
    if architectures.in_library(arch):
        return []
    if arch not in OFFICIAL:
        fix = "take a name of timm's or torchvision's, or name a folder that has its weights with `weights:`"
        return [Problem(what="no weights are published under this name", where="runs", value=arch, fix=fix)]
    fix = f"get {OFFICIAL[arch][0]} from {SOURCES[arch]} and name its folder with `weights:`"
    return [Problem(what="its published weights are on no hub that timm knows", where="runs", value=arch, fix=fix)]


def _places(path: Path, arch: str) -> Iterator[Path]:
    stem = path.name.removesuffix(SAFETENSORS)
    yield from (path.with_name(stem + suffix) for suffix in SUFFIXES)
    yield from (path.parent / stem / name for name in HUB_FILES)
    yield from (path.parent / name for name in OFFICIAL.get(arch, ()))


def _listdir(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def _weight_file_faults(file: Path, arch: str) -> Iterator[Problem]:
    with open(file, "rb") as opened:
        start = opened.read(len(POINTER))
    if start == POINTER:
        fix = "run `git lfs pull` where it was cloned"
        yield Problem(what="a pointer of git-lfs, not the weights", where=str(file), fix=fix)
    elif file.suffix == SAFETENSORS:
        yield from _safetensors_faults(file, arch)
    elif not (zipfile.is_zipfile(file) or start[:1] == b"\x80"):
        yield Problem(what="not a file of torch", where=str(file), value=start[:8], allowed="what torch.save writes")


def _safetensors_faults(file: Path, arch: str) -> Iterator[Problem]:
    try:
        said = safetensors_header(file)[SAFETENSORS_METADATA].get("arch", arch)
    except DataError as error:
        yield from error.problems
        return
    if architectures.without_size(said) != architectures.without_size(arch):
        yield Problem(what="weights of another architecture", where=str(file), value=said, allowed=arch)
