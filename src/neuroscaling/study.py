"""A study ready to run: the validated file, its run table, its data, and what is wrong with any of it.

Imported by the Snakefile, again in every cluster job: no torch, no xarray, no pandas.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from neuroscaling import checks
from neuroscaling.config import Data, FmriEncoding, SimulatedData, Study, V4Data, V4Encoding
from neuroscaling.datasets.declared import NO_ROOT, declared, declared_fingerprint, located
from neuroscaling.datasets.fingerprint import fingerprint
from neuroscaling.encoding import v4
from neuroscaling.errors import Problem, StudyError
from neuroscaling.hashing import content_hash
from neuroscaling.laws.config import FitJob, load_fit_file
from neuroscaling.laws.config import expand as expand_fits
from neuroscaling.listing import listing_of
from neuroscaling.paths import Results, Store, brace_problems
from neuroscaling.runs import Run, expand
from neuroscaling.study_file import read_study_file

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class LoadedStudy:
    """A study file and what it expands to."""

    file: Path
    config: Study

    @cached_property
    def store(self) -> Store:
        """Layout of the study's store."""
        return Store(self.config.store)

    @cached_property
    def results(self) -> Results:
        """Layout of the study's results."""
        return Results(Path("results") / self.config.study)

    @cached_property
    def runs(self) -> dict[str, Run]:
        """The run table, by the runs' names."""
        return {run.run: run for run in expand(self.config, self.fingerprints)}

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What the training images of each data set are, in eight hexadecimal digits."""
        found = {name: dataset.model_dump(mode="json") for name, dataset in self.config.datasets.items()}
        cache = self.store.cache()
        return {
            name: fingerprint(name, settings, cache) if located(settings) else declared_fingerprint(name, settings)
            for name, settings in found.items()
        }

    @cached_property
    def fits(self) -> dict[str, FitJob]:
        """The laws to fit, by their names."""
        files = [find_file(path, self.file) for path in self.config.fits]
        return {job.name: job for file in files for job in expand_fits(load_fit_file(file))}

    def simulated_name(self, brain: str) -> str:
        """Name of a simulated brain in the store."""
        return f"simulated-{brain}-{content_hash(self.config.simulated[brain].model_dump(mode='json'))}"

    def data_name(self, data: Data) -> str:
        """Name of a source of recordings in the store: `simulated-<name>-<hash>` or `local-<hash>`."""
        if isinstance(data, SimulatedData):
            return self.simulated_name(data.simulated)
        return f"local-{content_hash(self.listing(data.local))}"

    def listing(self, folder: Path) -> list[tuple[str, int | None]]:
        """Names and sizes below a folder, looked up once: a data set has tens of thousands of files."""
        if folder not in self._listings:
            self._listings[folder] = listing_of(folder)
        return self._listings[folder]

    @cached_property
    def _listings(self) -> dict[Path, list[tuple[str, int | None]]]:
        return {}

    def v4_sessions(self, encoding: V4Encoding) -> list[str]:
        """The session ids of a V4 source, `all` replaced by what its folder holds."""
        if encoding.sessions != "all":
            return list(encoding.sessions)
        return v4.sessions(encoding.local_dir) if encoding.local_dir else []

    @property
    def v4_dir(self) -> Path | None:
        """Folder of V4 recordings that the study names; None where they are downloaded into the store."""
        data = self.config.brainscore.data if self.config.brainscore else None
        entries = [*self.recordings, *([data] if isinstance(data, V4Data) else [])]
        return next((entry.local_dir for entry in entries if entry.local_dir), None)

    @property
    def fmri(self) -> Iterator[FmriEncoding]:
        """The sources of fMRI."""
        return (entry for entry in self.config.encoding if isinstance(entry, FmriEncoding))

    @property
    def recordings(self) -> Iterator[V4Encoding]:
        """The sources of V4 recordings."""
        return (entry for entry in self.config.encoding if isinstance(entry, V4Encoding))


def load_study(path: str | Path, planning: bool = False) -> LoadedStudy:
    """Read and check a study file.

    planning: accept data sets whose images are not here, where the study says how many there are (`classes:` and
    `images:`); their runs have other names than they will have with the images, and can't be trained.
    Raises StudyError with everything that is wrong with it and can be seen without decoding images or building
    networks (`neuroscaling check` looks deeper).
    """
    path = find_file(Path(path))
    config = read_study_file(path)
    problems = [*checks.study_problems(config, path), *brace_problems({"store": config.store})]
    if planning:
        problems = [problem for problem in problems if problem.what != NO_ROOT or not _declared(config, problem)]
    if problems:
        raise StudyError(problems)
    return LoadedStudy(path, config)


def _declared(config: Study, problem: Problem) -> bool:
    """Is the data set without a root that `problem` tells of known by its numbers?"""
    where = (name for name in config.datasets if problem.where.startswith(f"dataset {name}:"))
    return any(declared(config.datasets[name].model_dump(mode="json")) for name in where)


def find_file(path: Path, study: Path | None = None) -> Path:
    """`path` as seen from the working directory, else from the study file's folders, else from the repository."""
    places = [Path.cwd()] + ([study.parent, study.parent.parent] if study else []) + [REPOSITORY]
    candidates = [place / path for place in places]
    found = next((c for c in candidates if c.is_file()), path)
    return Path(os.path.relpath(found)) if found.is_absolute() and not path.is_absolute() else found
