"""What the training images are, in eight hexadecimal digits: other images, other runs."""

import hashlib
import os
from pathlib import Path
from typing import Any

from neuroscaling.datasets import digits
from neuroscaling.datasets.folders import scan, split_folder
from neuroscaling.errors import DataError, NeuroscalingError, Problem
from neuroscaling.files import read_json, write_json
from neuroscaling.hashing import content_hash

# Above this number of images the state of a folder is told from its class folders alone: a look at each file of a
# whole ImageNet on a network disk takes minutes, and a study is parsed again in every cluster job.
FILES_LOOKED_AT = 20_000


def fingerprint(name: str, settings: dict[str, Any], cache_dir: Path | None) -> str:
    """Hash of the training images of the data set `name`: of the files' relative paths and bytes.

    cache_dir: where the hash of a folder is kept, so that its files are read once and not at each start; it is
    computed anew when a class folder has changed (up to 20,000 images: when any file's size or date has). None: no
    cache. Raises DataError when the folder is missing.
    """
    if settings.get("format") == "digits":
        return content_hash({"digits": digits.SHA256, "split": digits.SPLIT_VERSION})
    folder = split_folder(settings, "train")
    key = folder_state(folder)
    cached = cache_file(cache_dir, "fingerprint", folder)
    found = read_cache(cached, key)
    if found is None:
        found = _hash_files(folder)
        write_cache(cached, key, found)
    return found


def folder_state(folder: Path) -> str:
    """A hash that changes when images are added, removed or renamed (in small folders: also when one is rewritten)."""
    classes = scan(folder)
    state: list[Any] = [[name, os.stat(folder / name).st_mtime_ns, len(files)] for name, files in classes.items()]
    if sum(map(len, classes.values())) <= FILES_LOOKED_AT:
        state += [_file_state(folder / name / file) for name, files in classes.items() for file in files]
    return content_hash(state, digits=32)


def read_cache(path: Path | None, key: str) -> Any:
    """What was kept under `key` in `path`; None where there is nothing, or nothing readable."""
    if path is None or not path.exists():
        return None
    try:
        record = read_json(path)
    except NeuroscalingError:
        return None
    return record["value"] if isinstance(record, dict) and record.get("key") == key else None


def write_cache(path: Path | None, key: str, value: Any) -> None:
    """Keep `value` under `key`; a cache that can't be written to is no error."""
    if path is None:
        return
    try:
        write_json(path, {"format": "cache/1", "key": key, "value": value})
    except (OSError, DataError):
        return


def cache_file(cache_dir: Path | None, kind: str, folder: Path) -> Path | None:
    return cache_dir and Path(cache_dir) / f"{kind}-{content_hash(str(folder.resolve()), 16)}.json"


def _file_state(path: Path) -> list[Any]:
    stat = os.stat(path)
    return [path.name, stat.st_size, stat.st_mtime_ns]


def _hash_files(folder: Path) -> str:
    total = hashlib.sha256()
    for name, files in scan(folder).items():
        for file in files:
            total.update(f"{name}/{file}\0".encode())
            total.update(_digest(folder / name / file))
    return total.hexdigest()[:8]


def _digest(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(Problem("image can't be read", str(path), fix="check the file's permissions")) from error
