"""Where the files of a data set lie: in a local folder, or in a directory laid out as Brain-Score's own cache.

Local: `<root>/assy_*.nc`, `<root>/stimulus_*.csv` and the images in `<root>/stimulus_*/`. Official (`BRAINIO_HOME`):
`<root>/<sha1>/assy_*.nc`, `<root>/<sha1>/stimulus_*.csv`, `<root>/<sha1>/stimulus_*.zip`. Light: imports nothing of
Brain-Score.
"""

from dataclasses import dataclass
from pathlib import Path

from neuroscaling.brainscore.ids import DATA_SETS, DataSet
from neuroscaling.errors import DataError, Problem


@dataclass(frozen=True)
class Files:
    """The files of one data set. `images` is a folder (local) or a zip (official)."""

    data_set: DataSet
    assembly: Path
    csv: Path
    images: Path

    @property
    def official(self) -> bool:
        """Whether they lie in the layout of Brain-Score's cache."""
        return self.images.suffix == ".zip"


def find_files(root: str | Path, data_set: DataSet) -> Files:
    """The files of `data_set` below `root`. Raises DataError with every file that is missing."""
    root = Path(root)
    names = [data_set.assembly_file, f"{data_set.stimulus_stem}.csv", data_set.stimulus_stem]
    local = [root / name for name in names]
    if all(path.exists() for path in local):
        return Files(data_set, *local)
    names[2] += ".zip"
    official = [next(iter(sorted(root.glob(f"*/{name}"))), None) for name in names]
    if any(path is not None for path in official):
        _refuse_missing([f"<sha1>/{name}" for name, path in zip(names, official, strict=True) if path is None], root)
        return Files(data_set, *(path for path in official if path is not None))
    _refuse_missing([path.name for path in local if not path.exists()], root)
    raise AssertionError("unreachable: no file is missing and yet they were not found")


def all_files(root: str | Path) -> list[Files]:
    """The files of all data sets below `root`, known ones that are there whole. Raises DataError when there is none."""
    found = []
    for data_set in DATA_SETS.values():
        try:
            found.append(find_files(root, data_set))
        except DataError:
            # A folder may hold some of the data sets only; scoring names what is missing for its benchmark.
            continue
    if not found:
        expected = ", ".join(data_set.assembly_file for data_set in DATA_SETS.values())
        raise DataError(Problem("no Brain-Score data set in this folder", str(root), None, expected))
    return found


def _refuse_missing(names: list[str], root: Path) -> None:
    if names:
        raise DataError(
            [
                Problem("file is missing", str(root), name, fix="docs/data.md says what the folder holds")
                for name in names
            ]
        )
