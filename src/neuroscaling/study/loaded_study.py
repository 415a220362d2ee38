"""A study ready to run: the validated file, its run table, its data, and what is wrong with any of it.

Imported by the Snakefile, again in every cluster job: no torch, no xarray, no pandas.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import islice, product
from pathlib import Path
from typing import Any, Literal

from neuroscaling.core.errors import DataError, Fault, Location, Problem, StudyError
from neuroscaling.core.hashing import ArtefactName, content_hash
from neuroscaling.datasets.formats import NO_ROOT, declared_fingerprint, has_declared_size, has_root
from neuroscaling.datasets.index import fingerprint
from neuroscaling.study import architectures, data_checks, name_checks, recording_folders
from neuroscaling.study.code_fingerprints import version_of
from neuroscaling.study.fit_files import FitJob, expand_fits, load_fit_file
from neuroscaling.study.key_types import Section
from neuroscaling.study.network_sections import BaselineRuns, PretrainedRuns, TrainedRuns, UntrainedRuns
from neuroscaling.study.paths import Results, Store, find_file
from neuroscaling.study.published_weights import presentation, published_weights, weights_identity
from neuroscaling.study.recipes import Recipe, load_recipe
from neuroscaling.study.study_sections import Data, FmriEncoding, FmriSource, SimulatedData, Study, V4Data, V4Encoding
from neuroscaling.study.validation import ROUNDS, STAND_INS, partial, read_study_parts
from neuroscaling.study.yaml_document import Document

# Stages whose code determines the weights of a run, by its kind.
STAGES = {
    "trained": ("networks", "subsets", "training"),
    "untrained": ("networks",),
    "pretrained": ("networks",),
    "baseline": (),
}


@dataclass(frozen=True)
class ImagesOfRun:
    """The data set of a run: its name, its section of the study file in JSON, the fingerprint of its images."""

    dataset: str
    settings: dict[str, Any]
    fingerprint: str


@dataclass(frozen=True)
class Run:
    """One network (or baseline) with everything that determines it; `run` is its name in the store.

    definition: what determines its weights, which the name ends in a hash of; where images and weights lie is not in
    it. subset: token of its training images, such as `10`, `all`, `n5000`, `c100`, and `p10` where they are drawn as
    published; start: the run whose weights it starts from; samples_per_class: None where the classes differ.
    """

    run: str
    kind: str
    arch: str
    family: str
    dataset: str | None = None
    dataset_settings: dict[str, Any] | None = None
    fingerprint: str | None = None
    samples_per_class: int | str | None = 0
    subset: str | None = None
    subset_seed: int = 0
    seed: int = 0
    recipe: Recipe | None = field(default=None, hash=False)
    start: str | None = None
    weights: str | None = None
    definition: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def images(self) -> ImagesOfRun:
        """The data set that it is trained or evaluated on. Raises DataError for a run without one."""
        if self.dataset is None or self.dataset_settings is None or self.fingerprint is None:
            raise DataError(Problem(what="a run without a data set has no images", where=self.run))
        return ImagesOfRun(self.dataset, self.dataset_settings, self.fingerprint)

    @property
    def training_recipe(self) -> Recipe:
        """The recipe that it is trained with. Raises DataError for a run that is not trained."""
        if self.recipe is None:
            raise DataError(Problem(what="a run without a recipe can't be trained", where=self.run))
        return self.recipe

    def content(self, names: Iterable[str]) -> dict[str, Any]:
        """These fields of the run as JSON holds them, in the order of `names`.

        They are no copies of what runs share, such as the definition of their recipe: there may be thousands of runs.
        """
        values = {name: getattr(self, name) for name in names}
        return values | ({"recipe": values["recipe"].model_dump(mode="json")} if values.get("recipe") else {})


RUN_FIELDS = tuple(entry.name for entry in fields(Run))


@dataclass(frozen=True, repr=False)
class RunJob:
    """A run to make, the file of its images (if it has any), its folder, and that of the run that it starts from."""

    run: Run
    subset: Path | None
    out: Path
    base: Path | None = None

    def __repr__(self) -> str:
        return self.out.name


def expand_runs(
    study: Study, fingerprints: dict[str, str], file: Path | None = None, cache: Path | None = None
) -> list[Run]:
    """All runs of `study`, each once, in the order of the file.

    fingerprints: of each data set by its name; they enter the runs' names. file: of the study; recipes are looked up
    from its folder too. cache: folder in which the checksums of weights from outside are kept.
    """
    return list({run.run: run for run in _Expansion(study, fingerprints, file, cache).runs()}.values())


class _Expansion:
    """What the runs of a study share is found out once."""

    def __init__(self, study: Study, fingerprints: dict[str, str], file: Path | None, cache: Path | None) -> None:
        self.study, self.fingerprints, self.file, self.cache = study, fingerprints, file, cache
        self.settings = {name: data.model_dump(mode="json") for name, data in study.datasets.items()}
        self.networks: dict[str, tuple[str, dict[str, Any]]] = {}

    def runs(self) -> Iterator[Run]:
        for group in self.study.runs:
            yield from self._of_group(group)

    def _of_group(self, group: Section) -> Iterator[Run]:
        match group:
            case TrainedRuns():
                yield from self._trained(group)
            case UntrainedRuns():
                for arch, seed in product(group.untrained, group.seeds):
                    yield self._named(f"{arch}_untrained_s{seed}", "untrained", arch, seed=seed)
            case PretrainedRuns():
                for arch in group.pretrained:
                    yield self._pretrained(arch, group.weights)
            case BaselineRuns():
                for arch in group.baselines:
                    definition = {"kind": "baseline", "baseline": arch}
                    name = ArtefactName(f"{arch}_baseline", definition)
                    yield Run(str(name), "baseline", arch, "baseline", definition=definition)

    def _trained(self, group: TrainedRuns) -> Iterator[Run]:
        """The runs of a group, each behind those that it starts from, where its recipe names one."""
        protocol = self.study.protocol
        recipe = _Stage(load_recipe(group.recipe, protocol, self.file))
        before = [(_Stage(recipe), subset) for recipe, subset in _before(recipe.recipe, protocol, self.file)]
        for arch, dataset, (k, token), seed in product(group.archs, group.datasets, group.subsets(), group.seeds):
            subset_seed = seed if group.subset_seed is None else group.subset_seed
            base = None
            for stage, subset in before:
                images = _Images(dataset, subset, _token(subset, str(subset), protocol), subset_seed)
                base = self._one(arch, stage, images, seed, base)
                yield base
            yield self._one(arch, recipe, _Images(dataset, k, _token(k, token, protocol), subset_seed), seed, base)

    def _one(self, arch: str, stage: "_Stage", images: "_Images", seed: int, base: Run | None) -> Run:
        readable = f"{arch}_{images.dataset}_{images.token}_s{seed}"
        # Other objectives than supervised training name themselves, as the published ids do.
        readable = readable if stage.objective == "supervised" else f"{stage.objective}_{readable}"
        determines = {
            "dataset": images.dataset,
            "fingerprint": self.fingerprints[images.dataset],
            "samples_per_class": images.samples_per_class,
            "subset": images.token,
            "subset_seed": images.seed,
            "seed": seed,
            "recipe": stage.content,
            "start": base and base.run,
        }
        settings = {"dataset_settings": self.settings[images.dataset], **determines, "recipe": stage.recipe}
        return self._named(readable, "trained", arch, settings, **determines)

    def _pretrained(self, arch: str, folder: Path | None) -> Run:
        found = presentation(arch)
        shown = found and found.settings()
        if folder is None:
            published = published_weights(arch)
            # As the library builds it, not as this package does: with or without its tag it is one network.
            network = architectures.architecture_definition(arch) | {"timm_name": published["name"], "kwargs": {}}
            readable = f"{_full(arch)}_pretrained"
            return self._named(readable, "pretrained", arch, {}, network=network, published=published, shown=shown)
        file = folder / f"{arch}.safetensors"
        identity = weights_identity(file, arch, self.cache)
        settings = {"weights": str(file)}
        return self._named(f"{arch}_pretrained", "pretrained", arch, settings, weights=identity, shown=shown)

    def _named(
        self, readable: str, kind: str, arch: str, settings: dict[str, Any] | None = None, **determines: Any
    ) -> Run:
        """The run with its name. settings: those of the run where they are not `determines`."""
        if arch not in self.networks:
            self.networks[arch] = (architectures.family_of(arch), architectures.architecture_definition(arch))
        family, network = self.networks[arch]
        versions = {stage: version_of(stage) for stage in STAGES[kind]}
        definition = {"kind": kind, "network": network, "versions": versions, **determines}
        name = ArtefactName(re.sub("[^A-Za-z0-9._-]", "-", readable), definition)
        return Run(
            str(name), kind, arch, family, **(determines if settings is None else settings), definition=definition
        )


class _Stage:
    """A recipe of a group of runs, as their definitions have it."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.objective, self.content = recipe, recipe.objective, recipe.model_dump(mode="json")


@dataclass(frozen=True)
class _Images:
    """Training images of a run: the data set, how many of each class (None where they differ), the subset's token."""

    dataset: str
    samples_per_class: int | str | None
    token: str
    seed: int


def _full(arch: str) -> str:
    """An architecture's name with the tag of the published weights that it stands for."""
    full = architectures.with_tag(arch)
    return full if full.startswith(f"{arch}.") else arch


def _before(
    recipe: Recipe, protocol: Literal["corrected", "parity"], file: Path | None = None
) -> list[tuple[Recipe, int | str]]:
    """Recipe and images per class of the runs that one of `recipe` starts from, in the order of their training.

    Raises StudyError where they start from each other.
    """
    chain, subsets = [recipe], []
    while chain[-1].start:
        start = chain[-1].start
        subsets.append(start.samples_per_class)
        chain.append(load_recipe(start.recipe, protocol, file))
        if chain[-1] in chain[:-1]:
            circle = " from ".join(stage.name for stage in chain)
            raise StudyError(
                Problem(what="recipes that start from each other", where=f"recipe {recipe.name}: start", value=circle)
            )
    return [*zip(reversed(chain[1:]), reversed(subsets), strict=True)]


def _token(k: int | str | None, token: str, protocol: str) -> str:
    """The subset's token; with k images per class `parity` draws as published."""
    return f"p{k}" if protocol == "parity" and isinstance(k, int) else token


MOST_NAMES = 200


@dataclass(frozen=True)
class LoadedStudy:
    """A study file and what it expands to."""

    file: Path
    config: Study

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
        found = {name: dataset.model_dump(mode="json") for name, dataset in self.config.datasets.items()}
        cache = self.store.cache()
        return {
            name: fingerprint(name, settings, cache) if has_root(settings) else declared_fingerprint(name, settings)
            for name, settings in found.items()
        }

    @cached_property
    def fits(self) -> dict[str, FitJob]:
        """The laws to fit, by their names."""
        files = [find_file(path, self.file) for path in self.config.fits]
        return {job.name: job for file in files for job in expand_fits(load_fit_file(file))}

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
        entries: list[V4Encoding | V4Data] = [*self.recordings, *([data] if isinstance(data, V4Data) else [])]
        return next((entry.local_dir for entry in entries if entry.local_dir), None)

    @property
    def fmri(self) -> Iterator[FmriSource]:
        """The sources of fMRI."""
        return (entry for entry in self.config.encoding if isinstance(entry, FmriEncoding))

    @property
    def recordings(self) -> Iterator[V4Encoding]:
        """The sources of V4 recordings."""
        return (entry for entry in self.config.encoding if isinstance(entry, V4Encoding))


@dataclass(frozen=True)
class Reading:
    """A study file as it was read: what is wrong with it, and what is left without that (None where nothing is)."""

    document: Document
    study: LoadedStudy | None
    problems: list[Problem]


def load_study(path: str | Path, planning: bool = False) -> LoadedStudy:
    """Read and check a study file.

    planning: accept data sets whose images are not here, where the study says how many there are (`classes:` and
    `images:`); their runs have other names than they will have with the images, and can't be trained.
    Raises StudyError with everything that is wrong with it and can be seen without decoding images or building
    networks (`neuroscaling check` looks deeper).
    """
    reading = read_study(path, planning)
    if reading.problems or reading.study is None:
        raise StudyError(reading.problems)
    return reading.study


def read_study(path: str | Path, planning: bool = False) -> Reading:
    """A study and everything that is wrong with it: see `load_study`. Raises StudyError for what is no YAML file."""
    path = find_file(Path(path))
    config, left, faults = read_study_parts(path)
    # Each of the first is told with what is written most like it, which takes its time.
    faults = [*faults, *islice(name_checks.name_faults(left.whole, path), MOST_NAMES)]
    if config is not None:
        found = list(data_checks.data_faults(config))
        if planning:
            found = [fault for fault in found if fault.problem.what != NO_ROOT or not _declared(config, fault)]
        told = {fault.location for fault in faults}
        placed = (replace(fault, location=left.in_file(fault.location)) for fault in found)
        # A value that is wrong itself was left out, and what stands in its place says nothing of the study.
        faults += [fault for fault in placed if fault.location not in told]
    faults += name_checks.fit_faults(left.whole, path)
    if not faults and config is not None:
        return Reading(left.whole, LoadedStudy(path, config), [])
    sound = _sound(left.whole, {fault.location for fault in faults}, path)
    return Reading(left.whole, LoadedStudy(path, sound) if sound else None, left.problems(faults))


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
    return has_declared_size(config.datasets[str(fault.location[1])].model_dump(mode="json"))


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
