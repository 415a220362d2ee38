"""A study ready to run: the validated file, its run table, its data, and what is wrong with any of it.

Imported by the Snakefile, again in every cluster job: no torch, no xarray, no pandas.
"""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import Fault, Location, Problem, StudyError
from neuroscaling.core.hashing import ArtefactName, content_hash
from neuroscaling.datasets.formats import NO_ROOT, declared_fingerprint, has_declared_size, has_root
from neuroscaling.datasets.index import fingerprint
from neuroscaling.study import data_checks, name_checks, recording_folders
from neuroscaling.study.code_fingerprints import version_of
from neuroscaling.study.optional_datasets import (
    is_of_datasets,
    left_out_datasets,
    left_out_notes,
    without_datasets,
)
from neuroscaling.study.own_tables import OwnTable, own_columns, own_table, table_faults
from neuroscaling.study.paths import Results, Store, find_file
from neuroscaling.study.run_table import Run, expand_runs
from neuroscaling.study.sections.claim_files import Claim, load_claim_file
from neuroscaling.study.sections.encoding import V4Encoding
from neuroscaling.study.sections.fit_files import FitJob, expand_fits, load_fit_file
from neuroscaling.study.sections.recordings import Data, SimulatedData, V4Data
from neuroscaling.study.sections.validation import ROUNDS, STAND_INS, partial, read_study_parts
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.study.sections.yaml_document import Document

MOST_NAMES = 200


@dataclass(frozen=True)
class LoadedStudy:
    """A study file and what it expands to.

    config: what it asks for here; whole: with the optional data sets that are left out, of which `left_out` has the
    names; None where none is.
    """

    file: Path
    config: Study
    whole: Study | None = None
    left_out: tuple[str, ...] = ()

    @cached_property
    def store(self) -> Store:
        """Layout of the study's store."""
        return Store.of(self.config.store)

    @cached_property
    def results(self) -> Results:
        """Layout of the study's results."""
        return Results(Path("results") / self.config.study)

    @cached_property
    def runs(self) -> dict[str, Run]:
        """The run table, by the runs' names."""
        return {run.run: run for run in expand_runs(self.config, self.fingerprints, self.file, self.store.cache())}

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What the training images of each data set are, in eight hexadecimal digits."""
        found = {name: dataset.settings() for name, dataset in self.config.datasets.items()}
        cache = self.store.cache()
        return {
            name: fingerprint(name, settings, cache) if has_root(settings) else declared_fingerprint(name, settings)
            for name, settings in found.items()
        }

    @cached_property
    def fits(self) -> dict[str, FitJob]:
        """The laws to fit, by their names."""
        return {job.name: job for job in self._all_fits if not is_of_datasets(job, self.left_out)}

    @property
    def laws(self) -> dict[str, dict[str, Any]]:
        """What the laws of each entry of the files of fits are called (`FitJob.words`), in their order."""
        return {job.settings["fit"]: job.words for job in self.fits.values()}

    @cached_property
    def _all_fits(self) -> list[FitJob]:
        files = [find_file(path, self.file) for path in self.config.fits]
        further = own_columns(self.config, self.file)
        of_losses = self.own_table is not None and self.own_table.is_loss
        found = (load_fit_file(file, further) for file in files)
        return [job for fit_file in found for job in expand_fits(fit_file, of_losses)]

    @cached_property
    def own_table(self) -> OwnTable | None:
        """The table of scores that stands in place of networks; None where there are networks."""
        return own_table(self.config, self.file)

    @cached_property
    def claims(self) -> list[Claim]:
        """The claims to judge, in the order of their files."""
        files = [find_file(path, self.file) for path in self.config.claims]
        return [claim for file in files for claim in load_claim_file(file).claims]

    def left_out_notes(self) -> list[str]:
        """A line for each data set that is left out: the runs and fits that go with it, and how to get it."""
        if self.whole is None:
            return []
        absent = {name: declared_fingerprint(name, self.whole.datasets[name].settings()) for name in self.left_out}
        every = expand_runs(self.whole, self.fingerprints | absent, self.file, self.store.cache())
        runs = [run for run in every if run.dataset in self.left_out]
        return left_out_notes(self.whole, self.left_out, runs, [f for f in self._all_fits if f.name not in self.fits])

    def simulated_name(self, brain: str) -> str:
        """Name of a simulated brain in the store."""
        return str(self.simulated_brain(brain))

    def simulated_brain(self, brain: str) -> ArtefactName:
        """What a simulated brain is called, and what determines it."""
        settings = self.config.simulated[brain].model_dump(mode="json")
        return ArtefactName(f"simulated-{brain}", {**settings, "version": version_of("simulated")})

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
        return recording_folders.v4_session_names(encoding.local_dir) if encoding.local_dir else []

    @property
    def v4_dir(self) -> Path | None:
        """Folder of V4 recordings that the study names; None where they are downloaded into the store."""
        data = self.config.brainscore.data if self.config.brainscore else None
        encoded = [entry for entry in self.config.encoding if isinstance(entry, V4Encoding)]
        entries: list[V4Encoding | V4Data] = [*encoded, *([data] if isinstance(data, V4Data) else [])]
        return next((entry.local_dir for entry in entries if entry.local_dir), None)


@dataclass(frozen=True)
class Reading:
    """A study file as it was read: what is wrong with it, and what is left without that (None where nothing is)."""

    document: Document
    study: LoadedStudy | None
    problems: list[Problem]


Decided = Callable[[str], Collection[str] | None]
"""By the name of a study, what another process of its workflow left out; None where no process decided."""


def load_study(path: str | Path, planning: bool = False, decided: Decided | None = None) -> LoadedStudy:
    """Read and check a study file.

    planning: accept data sets whose images are not here, where the study says how many there are (`classes:` and
    `images:`); their runs have other names than they will have with the images, and can't be trained.
    decided: what is left out of it (optional data sets), where that is known and not to be looked for.
    Raises StudyError with everything that is wrong with it and can be seen without decoding images or building
    networks (`neuroscaling check` looks deeper).
    """
    reading = read_study(path, planning, decided)
    if reading.problems or reading.study is None:
        raise StudyError(reading.problems)
    return reading.study


def read_study(path: str | Path, planning: bool = False, decided: Decided | None = None) -> Reading:
    """A study and everything that is wrong with it: see `load_study`. Raises StudyError for what is no YAML file."""
    path = find_file(Path(path))
    config, left, faults = read_study_parts(path)
    left_out = left_out_datasets(config, decided(config.study) if decided else None) if config else ()
    # Each of the first is told with what is written most like it, which takes its time.
    faults = [*faults, *islice(name_checks.name_faults(left.whole, path), MOST_NAMES)]
    if config is not None:
        found = [*data_checks.data_faults(config, left_out), *table_faults(config, path)]
        if planning:
            found = [fault for fault in found if fault.problem.what != NO_ROOT or not _declared(config, fault)]
        told = {fault.location for fault in faults}
        placed = (replace(fault, location=left.in_file(fault.location)) for fault in found)
        # A value that is wrong itself was left out, and what stands in its place says nothing of the study.
        faults += [fault for fault in placed if fault.location not in told]
    faults += name_checks.fit_faults(left.whole, path, own_columns(config, path))
    faults += name_checks.claim_faults(left.whole, path)
    if not faults and config is not None:
        return Reading(left.whole, _loaded(path, config, left_out), [])
    sound = _sound(left.whole, {fault.location for fault in faults}, path)
    return Reading(left.whole, _loaded(path, sound, left_out) if sound else None, left.problems(faults))


def _loaded(path: Path, config: Study, left_out: tuple[str, ...]) -> LoadedStudy:
    names = tuple(name for name in left_out if name in config.datasets)
    return LoadedStudy(path, without_datasets(config, names), config, names) if names else LoadedStudy(path, config)


def _sound(document: Document, faulty: set[Location], file: Path) -> Study | None:
    """The study without what is faulty, and without what names something that is left out with it; None: nothing is."""
    for _ in range(ROUNDS):
        study, left = partial(Study, document, faulty, STAND_INS)
        lost = {left.in_file(fault.location) for fault in name_checks.name_faults(left, file)} if study else set()
        if not lost:
            return study
        faulty = faulty | lost
    return None


def _declared(config: Study, fault: Fault) -> bool:
    """Is the data set without a root that `fault` tells of known by its numbers?"""
    return has_declared_size(config.datasets[str(fault.location[1])].settings())


IMAGES = (".png", ".jpg", ".jpeg")


def listing_of(folder: Path) -> list[tuple[str, int | None]]:
    """Names and sizes of all files below `folder`: tells one local data set from another.

    Of images only the names: a data set has tens of thousands, and asking a shared disk for each takes minutes.
    """
    found: list[tuple[str, int | None]] = []
    for place, _, names in os.walk(folder, followlinks=True):
        for name in names:
            path = Path(place) / name
            size = None if path.suffix.lower() in IMAGES else path.stat().st_size
            found.append((str(path.relative_to(folder)), size))
    return sorted(found, key=lambda entry: entry[0])
