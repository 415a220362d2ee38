"""Readers fetch files from folders and URLs, and return members of zip and tar archives."""

import http.client
import os
import shutil
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import COPY_AGAIN, reading

ZIP_FILE = "a zip file"
LARGEST_MEMBER = 2**31
"""Bytes of one member that are unpacked into memory; more is a bomb, or not what is read here."""


class Zip:
    """An open zip; everything that is read from it is whole, or a DataError that names the archive and the member."""

    def __init__(self, path: str | Path, fix: str = COPY_AGAIN):
        self.path, self.fix = Path(path), fix
        with reading(path, ZIP_FILE, fix):
            self._file = zipfile.ZipFile(path)

    @property
    def names(self) -> list[str]:
        """Names of the members as they are listed, folders too."""
        return self._file.namelist()

    def read(self, name: str) -> bytes:
        """The bytes of a member, compared with its checksum."""
        with reading(self.path, ZIP_FILE, self.fix, f"{self.path}: {name}"):
            size = self._file.getinfo(name).file_size
            if size > LARGEST_MEMBER:
                raise DataError(
                    Problem(
                        what="too large",
                        where=f"{self.path}: {name}",
                        value=f"{size} bytes",
                        allowed=f"up to {LARGEST_MEMBER}",
                    )
                )
            return self._file.read(name)

    def open(self, name: str) -> IO[bytes]:
        """A member to read from its start; to be used within `reading`."""
        with reading(self.path, ZIP_FILE, self.fix, f"{self.path}: {name}"):
            return self._file.open(name)

    def __enter__(self) -> "Zip":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


@dataclass(frozen=True)
class TarMember:
    """A file in a tar that is not compressed: its name, the place of its bytes, and how many they are."""

    name: str
    offset: int
    size: int


def tar_members(path: str | Path, fix: str = COPY_AGAIN) -> Iterator[TarMember]:
    """The files in a tar one by one, without reading them. Raises DataError for a damaged, cut or compressed one."""
    with reading(path, "a tar file", fix):
        length = os.stat(path).st_size
        # "r:": a packed tar has no offsets to read from.
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile keeps every header; typeshed lacks the name
                if not 0 <= member.offset_data <= member.offset_data + member.size <= length:
                    raise ValueError(f"{member.name} goes on after the end of the file")
                if member.isfile():
                    yield TarMember(member.name, member.offset_data, member.size)


def tar_bytes(path: str | Path, member: TarMember, file: Any) -> bytes:
    """The bytes of a member; file: the tar, open. Raises DataError where it is cut short."""
    with reading(path, "a tar file", where=f"{path}: {member.name}"):
        found = os.pread(file.fileno(), member.size, member.offset)
        if len(found) < member.size:
            raise ValueError("it ends before the member does")
        return found


TIMEOUT_S = 60


def fetch_file(source: str | Path, name: str, target: Path, fix: str) -> None:
    """Copy (from a folder) or download (from a URL) the file `name` of `source` to `target`.

    fix: the next step for a user without network. Raises FileNotFoundError where the source has no such file, DataError
    where it can't be reached.
    """
    if "://" not in str(source):
        shutil.copyfile(Path(source) / name, target)
        return
    url = f"{source}/{name}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, open(target, "wb") as file:
            shutil.copyfileobj(response, file)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise FileNotFoundError(url) from error
        raise _unreachable(url, error, fix) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, FileNotFoundError):
            raise FileNotFoundError(url) from error
        raise _unreachable(url, error, fix) from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _unreachable(url, error, fix) from error


def _unreachable(url: str, error: Exception, fix: str) -> DataError:
    return DataError(Problem(what=f"can't be downloaded: {error}", where=url, fix=fix))
