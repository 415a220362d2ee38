"""The tables published with Gokce & Schrimpf 2025 are fetched by checksum.

Each table is named at the commit that holds it, so that it can't change unseen. None of them is a Git LFS pointer.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.archives import fetch_file
from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import file_sha256

SERVER = "https://raw.githubusercontent.com"
REPOSITORY = "epflneuroailab/scaling-primate-vvs"
OFFLINE = "check the network, or set `published_dir` to a folder with the file (docs/data.md)"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublishedFile:
    """One public table. folder: where it lies, `<commit>/<path>`, empty for a table that no public file holds."""

    name: str
    size: int
    sha256: str
    folder: str = ""

    @property
    def source(self) -> str:
        """URL of the folder that holds the file, or an empty string."""
        return f"{SERVER}/{REPOSITORY}/{self.folder}" if self.folder else ""


PUBLISHED_FILES = {
    file.name: file
    for file in (
        PublishedFile(
            "benchmark_scores.csv",
            1_875_009,
            "3c902d135628cf0a63a537dad7ed2bb5a91738a759819d45a946d129eff06609",
            "a6bda1bb1c13b24eedd884c2a50d7f3fc0c374dd/scaling_primate_vvs/artifacts",
        ),
        PublishedFile(
            "benchmark_scores_ckpts.csv",
            2_225_240,
            "5745f1cc2306de9347fa6dca6df79e309f91e21ac5cb3f3e2d057adb860e7b76",
            "75cb0bc6a3809f4b2f14160db54f683dc6fc5fab/results",
        ),
        PublishedFile(
            "benchmark_scores_brainscore.csv",
            19_976,
            "0c122bde7392d3dfe7a1a3dc1ff279eaa6cc12bed67d899c2e68e31f8c3aa78a",
            "8f5b4fb352eaca1c64631a25de4d334d348b8f23/results",
        ),
        # Read off the printed outputs of a notebook (github.com/suyamat/ScalingVisionEncoder): no public file holds it.
        PublishedFile(
            "seed_data_scaling.csv",
            2_115,
            "711667ab0da70d6ca668096d0c3ca0893ece3e6fb1d7e61c0af9078c5ee092f1",
        ),
    )
}


def is_available(name: str, published_dir: str | Path = "") -> bool:
    """Whether the table can be had: every table with a URL can, the others only from the folder."""
    return bool(_known(name).source) or bool(published_dir and (Path(published_dir) / name).is_file())


def fetch_published(name: str, target: str | Path, published_dir: str | Path = "") -> bool:
    """Bring the table `name` to `target`: copied from `published_dir` where given, else downloaded.

    Its sha256 is checked in both cases; a sound file that is there already is kept. Returns False, with a line in the
    log, for a table that can only come from a folder and isn't in it. Raises DataError for a name that isn't one of the
    published tables, and when the file is missing, can't be downloaded or isn't the known one.
    """
    file, target = _known(name), Path(target)
    if target.is_file() and file_sha256(target) == file.sha256:
        return True
    if not is_available(name, published_dir):
        log.warning(
            "%s is in no public repository and not in the folder %r: its rows are left out", name, published_dir
        )
        return False
    source = str(published_dir or file.source)
    try:
        with atomic_path(target) as temporary:
            fetch_file(source, name, temporary, OFFLINE)
            _check(file, temporary, f"{source}/{name}")
    except FileNotFoundError as error:
        fix = "put the file there, or leave `published_dir` empty to download it"
        raise DataError(Problem(what="the file doesn't exist", where=f"{source}/{name}", fix=fix)) from error
    return True


def _known(name: str) -> PublishedFile:
    if name not in PUBLISHED_FILES:
        names = list(PUBLISHED_FILES)
        raise DataError(
            Problem(
                what="not a published table",
                where="name",
                value=name,
                allowed=listing(names),
                nearest=nearest(name, names),
            )
        )
    return PUBLISHED_FILES[name]


def _check(file: PublishedFile, path: Path, where: str) -> None:
    size, found = path.stat().st_size, file_sha256(path)
    if found != file.sha256:
        value, allowed = f"{size} bytes, sha256 {found}", f"{file.size} bytes, sha256 {file.sha256}"
        fix = "fetch the file again from its repository; a table that was edited can't stand in for the published one"
        raise DataError(
            Problem(what="the file is not the published one", where=where, value=value, allowed=allowed, fix=fix)
        )
