"""Paths of all artefacts: the layout of the store and of a study's results is known here alone."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from neuroscaling.core.errors import Problem
from neuroscaling.core.installation import PIPELINE


def brace_problems(folders: Mapping[str, Path]) -> Iterator[Problem]:
    """Folders with a brace in their path, by what they are: Snakemake takes what is in braces for a wildcard."""
    for name, folder in folders.items():
        if set("{}") & set(str(folder)):
            what, fix = f"braces in the path of the {name}", "name a folder without { and }, or move it"
            yield Problem(what=what, where=name, value=str(folder), allowed="any other character", fix=fix)


def quote_problems(folders: Mapping[str, Path]) -> Iterator[Problem]:
    """Folders with a single quote in their path: quoted by Snakemake, a cluster's shell runs what is in $() there."""
    for name, folder in folders.items():
        if "'" in str(folder):
            what = f"a single quote in the path of the {name}, and jobs that are submitted to a cluster"
            yield Problem(
                what=what,
                where=name,
                value=str(folder),
                allowed="any other character",
                fix="move it, or run without a cluster",
            )


@dataclass(frozen=True)
class Store:
    """The shared part: what is dear and can be used by several studies.

    root: the folder that things are written to; others: folders that are read too. The methods say where a thing is
    written; `find` where it lies.
    """

    root: Path
    others: tuple[Path, ...] = ()

    @classmethod
    def of(cls, folders: Path | Sequence[Path]) -> "Store":
        """The store of the folder, or of the folders, that a study names: the first is written to."""
        first, *others = [folders] if isinstance(folders, Path) else folders
        return cls(first, tuple(others))

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders, in the order in which they are looked through."""
        return (self.root, *self.others)

    @cached_property
    def _beginnings(self) -> tuple[str, ...]:
        return tuple("" if folder == Path() else f"{folder.as_posix().rstrip('/')}/" for folder in self.folders)

    def find(self, path: Path) -> Path:
        """Where what is written to `path` lies: in the first folder that has it; `path` where none has."""
        if not self.others or path.exists():
            return path
        inside = path.relative_to(self.root)
        return next((folder / inside for folder in self.others if (folder / inside).exists()), path)

    def name_of(self, path: Path) -> str:
        """What a thing is called in the store, whichever folder it lies in: its path below that folder."""
        text = path.as_posix()
        # As text: tens of thousands of names are asked for at each start.
        return text[max(len(folder) for folder in self._beginnings if text.startswith(folder)) :]

    def subset(self, dataset: str, fingerprint: str, name: str) -> Path:
        """List of training images: `dataset` with its fingerprint, and the subset's name."""
        return self.root / "subsets" / f"{dataset}-{fingerprint}" / f"{name}.parquet"

    def pack(self, dataset: str, fingerprint: str, form: str, size: int | None, split: str) -> Path:
        """Manifest of a split of a data set that was written into few large files; size None: files as they were."""
        return self.root / "packs" / f"{dataset}-{fingerprint}" / f"{form}-{size or 'originals'}" / f"{split}.json"

    def run(self, run: str) -> Path:
        """Folder of a run: weights, history, run.json."""
        return Path(f"{self.root}/runs/{run}")

    def simulated(self, brain: str) -> Path:
        """Folder of a simulated brain."""
        return self.root / "simulated" / brain

    def v4(self) -> Path:
        """Folder of the V4 recordings, in the layout of their public repository."""
        return self.root / "data" / "v4"

    def recording(self, data: str, part: str) -> Path:
        """Folder of prepared recordings: of a subject of raw NSD, or of a session of V4."""
        return self.root / "recordings" / data / part

    def brainscore(self) -> Path:
        """Folder of Brain-Score's own files, in the layout that brainscore_vision looks in."""
        return self.root / "data" / "brainscore"

    def prefetched(self, stimulus_set: str) -> Path:
        """List of the fetched files of the benchmarks that share a stimulus set."""
        return self.root / "data" / "prefetched" / f"{stimulus_set}.json"

    def commitment(self, name: str, run: str) -> Path:
        """Layers chosen on `run` for a benchmark; `name` says for which, and how."""
        return Path(f"{self.root}/commitments/{name}/{run}.json")

    def ceilings(self) -> Path:
        """Folder of the benchmarks' ceilings."""
        return self.root / "ceilings"

    def published(self, name: str) -> Path:
        """A published table."""
        return self.root / "data" / "published" / name

    def stimuli(self, stimulus_set: str) -> Path:
        """Folder of a prepared stimulus set."""
        return self.root / "stimuli" / stimulus_set

    def activations(self, run: str, name: str) -> Path:
        """Manifest of a run's activations to a stimulus set; `name` says to which, and how they were extracted."""
        return Path(f"{self.root}/activations/{run}/{name}.json")

    def score(self, name: str, run: str) -> Path:
        """Score file of a run; `name` says on which benchmark, and how it was scored."""
        return Path(f"{self.root}/scores/{name}/{run}.json")

    def cache(self) -> Path:
        """Folder of what can be thrown away: fingerprints of folders, results of image checks."""
        return self.root / ".cache"


@dataclass(frozen=True)
class Results:
    """The study's own part: cheap and particular."""

    root: Path

    @property
    def artefacts(self) -> Path:
        """What of the store the study wants, and what determines each thing: written whenever the study is started."""
        return self.root / "artefacts.json"

    @property
    def last_artefacts(self) -> Path:
        """The same as it was when the study last ended."""
        return self.root / "artefacts.last.json"

    def wanted(self, what: str) -> Path:
        """List of the `scores`, the `runs` or the scores of `encoding` that the study's own files are made of."""
        return self.root / "wanted" / f"{what}.json"

    @property
    def table(self) -> Path:
        """The score table."""
        return self.root / "scores.parquet"

    @property
    def resolution(self) -> Path:
        """What the benchmarks can tell, and how lucky layers were."""
        return self.root / "resolution.json"

    @property
    def report(self) -> Path:
        """The page of the report."""
        return self.root / "report" / "index.html"

    @property
    def published(self) -> Path:
        """List of the figures of a published study; they lie beside it."""
        return self.root / "report" / "published" / "figures.json"

    @property
    def claims(self) -> Path:
        """The claims of the study with their verdicts, a section of the report."""
        return self.root / "claims.json"

    @property
    def accuracy(self) -> Path:
        """Accuracy of encoding by region, with intervals over subjects and images."""
        return self.root / "encoding" / "accuracy.parquet"

    @property
    def encoding(self) -> Path:
        """List of the figures of encoding; they lie beside it."""
        return self.root / "report" / "encoding" / "figures.json"

    def submission(self, name: str) -> Path:
        """A submission to the challenge."""
        return self.root / "submissions" / f"{name}.zip"

    def fit(self, name: str) -> Path:
        """Result of a fit."""
        return self.root / "fits" / f"{name}.json"

    def bootstraps(self, name: str) -> Path:
        """Bootstraps of a fit, one row a resample."""
        return self.root / "fits" / f"{name}.bootstraps.parquet"

    def influence(self, name: str) -> Path:
        """What a fit stands on: the fit without each group of its points."""
        return self.root / "fits" / f"{name}.influence.json"


def find_file(path: Path, study: Path | None = None) -> Path:
    """`path` as seen from the study file's folder, else from that folder's parent, the working directory, or the
    pipeline's folder: the one rule for files of fits, recipes and the like. As it is where it is nowhere."""
    places = [*([study.parent, study.parent.parent] if study else []), Path.cwd(), PIPELINE]
    found = next((place / path for place in places if _is_file(place / path)), path)
    return Path(os.path.relpath(found)) if found.is_absolute() and not path.is_absolute() else found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # such as a name that no file system takes
        return False
