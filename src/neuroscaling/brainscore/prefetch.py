"""Downloads Brain-Score's files into a data directory that jobs only read: the one step that needs a network.

The directory is laid out as Brain-Score's own cache (`<root>/<sha1>/<file>`). Each file is whole, checked and
read-only, or absent; what is there is not fetched again.

Imports of Brain-Score stand in functions: `environment.prepare_environment` comes first.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroscaling.core.downloads import arriving
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import file_sha1
from neuroscaling.core.leases import held
from neuroscaling.core.records import write_record
from neuroscaling.study import benchmarks as study_benchmarks
from neuroscaling.study.benchmarks import RemoteFile, remote_files

FORMAT = "prefetch/2"
NO_NETWORK = ("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError", "gaierror", "ConnectionError")
log = logging.getLogger("neuroscaling")

Fetch = Callable[[RemoteFile, Path], None]


def prefetch(
    benchmarks: Sequence[str],
    root: Path,
    manifest: Path,
    definition: Mapping[str, Any] | None = None,
    fetch: Fetch | None = None,
) -> Path:
    """Have every file of the registered `benchmarks` below `root`; writes the record `manifest` last and returns it.

    definition: what the manifest's name is a hash of; fetch: writes a file to a path (default: Brain-Score's own code,
    signed, then unsigned). Raises DataError, once for all, with the files that could not be had; without a network
    after the first of them. Files that were had before stay, and the next call goes on with the others.
    """
    wanted = list(
        dict.fromkeys(file for name in benchmarks for file in remote_files(study_benchmarks.registered_benchmark(name)))
    )
    return prefetch_files(wanted, root, manifest, fetch or fetch_with_brainscore, list(benchmarks), definition)


def prefetch_files(
    wanted: Sequence[RemoteFile],
    root: Path,
    manifest: Path,
    fetch: Fetch,
    benchmarks: Sequence[str] = (),
    definition: Mapping[str, Any] | None = None,
) -> Path:
    """As `prefetch`, for a list of files."""
    with held(manifest, f"Brain-Score's files of {listing(list(benchmarks)) or manifest.stem}"):
        return _prefetch(wanted, root, manifest, fetch, benchmarks, definition)


def _prefetch(
    wanted: Sequence[RemoteFile],
    root: Path,
    manifest: Path,
    fetch: Fetch,
    benchmarks: Sequence[str],
    definition: Mapping[str, Any] | None,
) -> Path:
    failed: dict[RemoteFile, Exception] = {}
    for file in wanted:
        try:
            # One file at a time: another prefetch would close a folder that is being written.
            with held(root, f"Brain-Score's file {file.name}"):
                _have(file, root, fetch)
        except Exception as error:
            failed[file] = error
            if _is_offline(error):
                break
    missing = [file for file in wanted if not file.place(root).is_file()]
    if failed:
        raise DataError(_problems(missing or list(failed), list(failed.values()), root))
    content = {"format": FORMAT, "benchmarks": sorted(benchmarks), "files": {file.name: file.sha1 for file in wanted}}
    facts = {"definition": definition and dict(definition), "brainscore_vision": study_benchmarks.BRAINSCORE_VERSION}
    write_record(manifest, content | facts)
    return manifest


def fetch_with_brainscore(file: RemoteFile, path: Path) -> None:
    """Download `file` to `path` as Brain-Score does, signed and then unsigned. Raises an error that holds both."""
    from brainscore_core.supported_data_standards.brainio.s3 import load_file_from_s3

    # Brain-Score's clients take their settings from here; by default they try an unreachable host for longer.
    os.environ.setdefault("AWS_MAX_ATTEMPTS", "3")
    load_file_from_s3(bucket=file.bucket, path=file.key, local_filepath=path, version_id=file.version_id)


def _have(file: RemoteFile, root: Path, fetch: Fetch) -> None:
    path = file.place(root)
    if path.is_file():
        if file_sha1(path) == file.sha1:
            return
        log.warning("%s is not the file of this name; fetched again", path)
        _make_writable(path)
    log.info("fetching %s", file.url)
    if path.parent.is_dir():
        path.parent.chmod(0o755)
        for left in path.parent.glob(f".{file.name}.*"):  # by a prefetch that was killed
            left.unlink()
    try:
        with atomic_path(path) as temporary:
            with arriving(file.name, temporary):
                fetch(file, temporary)
            found = file_sha1(temporary)
            if found != file.sha1:
                raise DataError(
                    Problem(what="what was downloaded is another file", where=file.url, value=found, allowed=file.sha1)
                )
            temporary.chmod(0o444)
    finally:
        _close(path.parent)


def _close(folder: Path) -> None:
    """Make a folder read-only, or remove it where it is empty."""
    if any(folder.iterdir()):
        folder.chmod(0o555)
    else:
        folder.rmdir()


def _make_writable(path: Path) -> None:
    path.parent.chmod(0o755)
    path.chmod(0o644)


def _is_offline(error: BaseException) -> bool:
    """Whether an error, or one that it carries, says that the network can't be reached."""
    if type(error).__name__ in NO_NETWORK:
        return True
    inner = [part for argument in error.args for part in (argument if isinstance(argument, list) else [argument])]
    inner += [error.__cause__, error.__context__]
    return any(_is_offline(part) for part in inner if isinstance(part, BaseException))


def _problems(missing: Sequence[RemoteFile], errors: Sequence[Exception], root: Path) -> list[Problem]:
    offline = any(_is_offline(error) for error in errors)
    what = f"{len(missing)} files of Brain-Score could not be had: {'no network' if offline else _causes(errors)}"
    fix = (
        "run this step where there is a network (files that are there are not fetched again), or copy the files to "
        "<sha1>/<name> in that folder. Brain-Score reports files without access as missing credentials, even public "
        "ones: for private data, set AWS credentials for its bucket"
    )
    return [
        *(Problem(what="not had", where=file.url, value=f"sha1 {file.sha1}") for file in missing),
        Problem(what=what, where=str(root), fix=fix),
    ]


def _causes(errors: Sequence[Exception]) -> str:
    return listing(list(dict.fromkeys(f"{type(error).__name__}: {str(error)[:300]}" for error in errors)), 2)
