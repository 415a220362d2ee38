"""A stimulus before it is stored: where its image lies, and how it is read from there."""

from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.archives import Zip
from neuroscaling.core.images import file_bytes


@dataclass(frozen=True)
class Stimulus:
    """One image before it is stored: a file, or a member of a zip; `degrees` is None where it is shown as it is."""

    stimulus_id: str
    file: Path
    member: str | None = None
    degrees: float | None = None

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"{self.file}: {self.member}" if self.member else str(self.file)

    @property
    def suffix(self) -> str:
        """Ending of its file name, with the dot."""
        return Path(self.member or self.file.name).suffix.lower()

    def read(self) -> bytes:
        """Return the bytes of the image file. Raises DataError when it is missing or its zip is damaged."""
        if self.member is not None:
            return opened_zip(self.file).read(self.member)
        return file_bytes(self.file)


_open_zips: dict[Path, Zip] = {}


def opened_zip(path: Path) -> Zip:
    """Return the zip at `path`, opened once a process. Raises DataError when it is missing or damaged."""
    if path not in _open_zips:
        _open_zips[path] = Zip(path)
    return _open_zips[path]
