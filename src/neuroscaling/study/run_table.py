"""The run table: what a study file's `runs:` expands to, each run with all that determines it."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Any, Literal

from neuroscaling.core.errors import DataError, Problem, StudyError
from neuroscaling.core.file_names import readable_name
from neuroscaling.core.hashing import ArtefactName
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.study import architectures
from neuroscaling.study.checkpoint_runs import checkpoint_identity, checkpoints_of
from neuroscaling.study.checkpoint_tables import Checkpoint
from neuroscaling.study.code_fingerprints import version_of
from neuroscaling.study.published_weights import path_in, presentation, published_weights, weights_identity
from neuroscaling.study.recipes import Recipe, earlier_epochs, load_recipe
from neuroscaling.study.sections.checkpoints import CheckpointRuns
from neuroscaling.study.sections.key_types import Section
from neuroscaling.study.sections.networks import BaselineRuns, PretrainedRuns, TrainedRuns, UntrainedRuns
from neuroscaling.study.sections.whole_study import Study

# Stages whose code determines the weights of a run, by its kind.
STAGES = {
    "trained": ("networks", "subsets", "training"),
    "untrained": ("networks",),
    "pretrained": ("networks",),
    "checkpoint": ("networks",),
    "baseline": (),
}


@dataclass(frozen=True)
class ImagesOfRun:
    """The data set of a run: its name, its settings in the study file, the fingerprint of its images."""

    dataset: str
    settings: DatasetSettings
    fingerprint: str


@dataclass(frozen=True)
class Run:
    """One network (or baseline) with everything that determines it; `run` is its name in the store.

    definition: what determines its weights, which the name ends in a hash of; where images and weights lie is not in
    it. subset: token of its training images, such as `10`, `all`, `n5000`, `c100`, and `p10` where they are drawn as
    published; start: the run whose weights it starts from, or whose kept weights it is; samples_per_class: None where
    the classes differ; checkpoint: the file of weights that it is, and what is known of it before it is made; keep:
    whether its weights stay after extraction.
    """

    run: str
    kind: str
    arch: str
    family: str
    dataset: str | None = None
    dataset_settings: DatasetSettings | None = None
    fingerprint: str | None = None
    samples_per_class: int | str | None = 0
    subset: str | None = None
    subset_seed: int = 0
    seed: int = 0
    recipe: Recipe | None = field(default=None, hash=False)
    start: str | None = None
    weights: str | None = None
    checkpoint: Checkpoint | None = None
    keep: bool = True
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

    @property
    def kept_epoch(self) -> int | None:
        """The epoch after which the run `start` kept these weights; None for all other runs."""
        return self.checkpoint.epoch if self.checkpoint and self.start else None

    @property
    def objective(self) -> str | None:
        """The objective of its training; None for a run that was not trained, or whose training nobody knows."""
        if self.checkpoint is not None:
            return self.checkpoint.objective
        return self.recipe.objective if self.recipe else None

    def content(self, names: Iterable[str]) -> dict[str, Any]:
        """These fields of the run as JSON holds them, in the order of `names`.

        They are no copies of what runs share, such as the definition of their recipe: there may be thousands of runs.
        """
        values = {name: getattr(self, name) for name in names}
        if values.get("recipe"):
            values["recipe"] = values["recipe"].model_dump(mode="json")
        if values.get("checkpoint"):
            values["checkpoint"] = asdict(values["checkpoint"])
        if values.get("dataset_settings"):
            values["dataset_settings"] = values["dataset_settings"].content()
        return values


LONGEST_ID = 120
"""Characters of a checkpoint's id in the name of its run: a name on a disk has 255 bytes."""
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
        self.settings = {name: data.settings() for name, data in study.datasets.items()}
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
            case CheckpointRuns():
                for one in checkpoints_of(group):
                    yield self._checkpoint(one, group.keep)
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
        epochs = earlier_epochs(group.epochs, recipe.recipe)
        for arch, dataset, (k, token), seed in product(group.archs, group.datasets, group.subsets(), group.seeds):
            subset_seed = seed if group.subset_seed is None else group.subset_seed
            base = None
            for stage, subset in before:
                images = _Images(dataset, subset, _token(subset, str(subset), protocol), subset_seed)
                base = self._one(arch, stage, images, seed, base)
                yield base
            end = self._one(arch, recipe, _Images(dataset, k, _token(k, token, protocol), subset_seed), seed, base)
            yield from (end, *(self._kept(end, epoch) for epoch in epochs))

    def _kept(self, end: Run, epoch: int) -> Run:
        """The run of the weights that the training `end` keeps after `epoch`: a checkpoint that is made here.

        `end` determines all that is known of it, so that its name says no more. The weights stay with `end`.
        """
        one = Checkpoint(
            id=end.run,
            place="",
            arch=end.arch,
            series=end.training_recipe.objective,
            dataset=end.dataset,
            samples_per_class=end.samples_per_class,
            seed=end.seed,
            epoch=epoch,
        )
        shared = ("dataset", "dataset_settings", "fingerprint", "samples_per_class", "subset", "subset_seed", "seed")
        settings = {name: getattr(end, name) for name in (*shared, "recipe")}
        settings |= {"start": end.run, "checkpoint": one, "keep": False}
        readable = f"{end.run.rpartition('-')[0]}_ep{epoch}"
        return self._named(readable, "checkpoint", end.arch, settings, weights={"run": end.run, "epoch": epoch})

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
        file = path_in(folder, arch)
        identity = weights_identity(file, arch, self.cache)
        settings = {"weights": str(file)}
        return self._named(f"{arch}_pretrained", "pretrained", arch, settings, weights=identity, shown=shown)

    def _checkpoint(self, one: Checkpoint, keep: bool) -> Run:
        """The run of a checkpoint. What is known of its training is what laws are fitted to: it is in the name too."""
        identity = checkpoint_identity(one, self.cache)
        epoch = "" if one.epoch is None else f"_ep{one.epoch}"
        settings = {
            "dataset": one.dataset,
            "samples_per_class": one.samples_per_class,
            "seed": one.seed or 0,
            "weights": one.place,
            "checkpoint": one,
            "keep": keep,
        }
        readable = f"{one.id[:LONGEST_ID]}{epoch}"
        return self._named(readable, "checkpoint", one.arch, settings, weights=identity, training=one.facts())

    def _named(
        self, readable: str, kind: str, arch: str, settings: dict[str, Any] | None = None, **determines: Any
    ) -> Run:
        """The run with its name. settings: those of the run where they are not `determines`."""
        if arch not in self.networks:
            self.networks[arch] = (architectures.family_of(arch), architectures.architecture_definition(arch))
        family, network = self.networks[arch]
        versions = {stage: version_of(stage) for stage in STAGES[kind]}
        definition = {"kind": kind, "network": network, "versions": versions, **determines}
        name = ArtefactName(readable_name(readable), definition)
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
    full, plain = architectures.with_tag(arch), architectures.without_size(arch)
    return arch.replace(plain, full, 1) if full.startswith(f"{plain}.") else arch


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
