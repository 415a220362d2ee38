"""Fetch V4 recording sessions: from their public repository, or from a folder in its layout; never part of the package.

The data are GPL-3.0 (github.com/cowleygroup/V4_compact_models); a commit is named, so that files can't change unseen.
"""

import logging
from pathlib import Path

from neuroscaling.download import transfer
from neuroscaling.encoding.v4 import checksums, session_files
from neuroscaling.errors import DataError, Problem
from neuroscaling.files import atomic_path
from neuroscaling.hashing import file_sha256

COMMIT = "f4552ad9d34a466ebc66658f72a08a8e5038f1cf"
SOURCE = f"https://raw.githubusercontent.com/cowleygroup/V4_compact_models/{COMMIT}/data_V4_responses"
OFFLINE = "check the network, or give `local_dir` with the files"
log = logging.getLogger(__name__)


def fetch_session(session: str, root: str | Path, source: str | Path = SOURCE) -> list[Path]:
    """Bring the files of `session` into `root` (layout of the repository) and return them.

    source: a URL, or a folder to copy from. Raw repeats, which give a noise ceiling, come along where there are any.
    Each file is checked against its known sha256; files without one are accepted and logged. Files that are there and
    sound are kept. Raises DataError when a file can't be had or isn't the known one.
    """
    root = Path(root)
    fetched = []
    for kind, name in session_files(session).items():
        target = Path(root) / name
        if (target.is_file() and _is_known(target, name)) or _fetch(source, name, target, optional=kind == "raw"):
            fetched.append(target)
    return fetched


def _fetch(source: str | Path, name: str, target: Path, optional: bool) -> bool:
    """Fetch one file; False where an optional one doesn't exist."""
    try:
        with atomic_path(target) as temporary:
            transfer(source, name, temporary, OFFLINE)
            _check(temporary, name, f"{source}/{name}")
    except FileNotFoundError as error:
        if optional:
            log.info("%s has no %s: no noise ceiling", source, name)
            return False
        raise DataError(Problem("the file doesn't exist", f"{source}/{name}", fix="check the session's id")) from error
    return True


def _check(file: Path, name: str, where: str) -> None:
    expected, found = checksums().get(name), file_sha256(file)
    if expected is None:
        log.warning("%s has no known sha256; accepted with %s", name, found)
    elif found != expected:
        raise DataError(Problem("the file is not the known one", where, found, expected, fix="fetch it again"))


def _is_known(file: Path, name: str) -> bool:
    expected = checksums().get(name)
    return expected is not None and file_sha256(file) == expected
