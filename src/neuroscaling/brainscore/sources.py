"""Where the files of a data set lie: in a local folder, or in a directory laid out as Brain-Score's own cache.

Local: `<root>/assy_*.nc`, `<root>/stimulus_*.csv` and the images in `<root>/stimulus_*/`. Official (`BRAINIO_HOME`):
`<root>/<sha1>/assy_*.nc`, `<root>/<sha1>/stimulus_*.csv`, `<root>/<sha1>/stimulus_*.zip`. Light: imports nothing of
Brain-Score.
"""

from dataclasses import dataclass
from pathlib import Path

from neuroscaling.brainscore.ids import DATA_SETS, DataSet
from neuroscaling.errors import DataError, Problem

FIX = "docs/data.md says what the folder holds"


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
    local, official = _local(root, data_set), _official(root, data_set)
    for paths in (local, official):
        found = [path for path in paths.values() if path is not None]
        if len(found) == len(paths):
            return Files(data_set, *found)
    paths = official if any(official.values()) else local
    missing = [name for name, path in paths.items() if path is None]
    raise DataError([Problem("file is missing", str(root), name, fix=FIX) for name in missing])


def all_files(root: str | Path) -> list[Files]:
    """The files of every data set of which `root` holds any.

    Raises DataError when it holds none, and when a file of one that it holds is missing.
    """
    root = Path(root)
    there = [
        data_set
        for data_set in DATA_SETS.values()
        if any(_local(root, data_set).values()) or any(_official(root, data_set).values())
    ]
    if not there:
        expected = ", ".join(data_set.assembly_file for data_set in DATA_SETS.values())
        raise DataError(Problem("no Brain-Score data set in this folder", str(root), None, expected, fix=FIX))
    return [find_files(root, data_set) for data_set in there]


def _local(root: Path, data_set: DataSet) -> dict[str, Path | None]:
    names = (data_set.assembly_file, f"{data_set.stimulus_stem}.csv", data_set.stimulus_stem)
    return {name: root / name if (root / name).exists() else None for name in names}


def _official(root: Path, data_set: DataSet) -> dict[str, Path | None]:
    names = (data_set.assembly_file, f"{data_set.stimulus_stem}.csv", f"{data_set.stimulus_stem}.zip")
    return {f"<sha1>/{name}": next(iter(sorted(root.glob(f"*/{name}"))), None) for name in names}
