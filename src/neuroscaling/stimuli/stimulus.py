"""A stimulus before it is stored: where its image lies, and how it is read from there."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.archives import Zip
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.images import file_bytes


@dataclass(frozen=True)
class Stimulus:
    """One image before it is stored: a file, or a member of a zip; `degrees` is None where it is shown as it is; sha1:
    what its bytes must have, where that is stated."""

    stimulus_id: str
    file: Path
    member: str | None = None
    degrees: float | None = None
    sha1: str | None = None

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"{self.file}: {self.member}" if self.member else str(self.file)

    @property
    def suffix(self) -> str:
        """Ending of its file name, with the dot."""
        return Path(self.member or self.file.name).suffix.lower()

    def read(self) -> bytes:
        """Return the bytes of the image file.

        Raises DataError when it is missing, its zip is damaged, or it is another image than its sha1 says.
        """
        data = file_bytes(self.file) if self.member is None else opened_zip(self.file).read(self.member)
        if self.sha1 is not None and (found := hashlib.sha1(data).hexdigest()) != self.sha1:
            what, fix = "another image than its sha1 says", "put the right image there, or correct the table of stimuli"
            raise DataError(Problem(what=what, where=self.name, value=found, allowed=self.sha1, fix=fix))
        return data


_open_zips: dict[Path, Zip] = {}


def opened_zip(path: Path) -> Zip:
    """Return the zip at `path`, opened once a process. Raises DataError when it is missing or damaged."""
    if path not in _open_zips:
        _open_zips[path] = Zip(path)
    return _open_zips[path]
