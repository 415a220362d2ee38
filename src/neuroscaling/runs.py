"""The run table: what a study file's `runs:` expands to. Light: imports no torch."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from neuroscaling.config import BaselineRuns, PretrainedRuns, Section, Study, TrainedRuns, UntrainedRuns
from neuroscaling.errors import Problem, StudyError
from neuroscaling.hashing import content_hash
from neuroscaling.models import names
from neuroscaling.training.recipe import Recipe, load_recipe
from neuroscaling.training.version import TRAINING_VERSION


@dataclass(frozen=True)
class Run:
    """One network (or baseline) with everything that determines it; `run` is its name in the store.

    subset: token of its training images, such as `10`, `all`, `n5000`, `c100`, and `p10` where they are drawn as
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
    recipe: dict[str, Any] | None = field(default=None, hash=False)
    start: str | None = None
    weights: str | None = None

    def settings(self) -> dict[str, Any]:
        """The run as a dictionary that JSON can hold: what training and extraction are given."""
        return asdict(self)


def expand(study: Study, fingerprints: dict[str, str], file: Path | None = None) -> list[Run]:
    """All runs of `study`, each once, in the order of the file.

    fingerprints: of each data set by its name; they enter the runs' names. file: of the study; recipes are looked up
    from its folder too.
    """
    runs = [run for group in study.runs for run in _expand_group(group, study, fingerprints, file)]
    return list({run.run: run for run in runs}.values())


def _expand_group(group: Section, study: Study, fingerprints: dict[str, str], file: Path | None) -> Iterator[Run]:
    match group:
        case TrainedRuns():
            yield from _trained(group, study, fingerprints, file)
        case UntrainedRuns():
            for arch, seed in product(group.untrained, group.seeds):
                yield _named(f"{arch}_untrained_s{seed}", "untrained", arch, seed=seed)
        case PretrainedRuns():
            for arch in group.pretrained:
                weights = str(group.weights / f"{arch}.safetensors") if group.weights else None
                yield _named(f"{arch}_pretrained", "pretrained", arch, weights=weights)
        case BaselineRuns():
            for arch in group.baselines:
                yield _named(f"{arch}_baseline", "baseline", arch)


def _trained(group: TrainedRuns, study: Study, fingerprints: dict[str, str], file: Path | None) -> Iterator[Run]:
    """The runs of a group, each behind those that it starts from, where its recipe names one."""
    recipe = load_recipe(group.recipe, study.protocol, file)
    before = _before(recipe, study.protocol, file)
    for arch, dataset, (k, token), seed in product(group.archs, group.datasets, group.subsets(), group.seeds):
        images = {
            "dataset": dataset,
            "dataset_settings": study.datasets[dataset].model_dump(mode="json"),
            "fingerprint": fingerprints[dataset],
            "subset_seed": seed if group.subset_seed is None else group.subset_seed,
        }
        base = None
        for stage, subset in before:
            base = _one(arch, stage, subset, _token(subset, str(subset), study.protocol), seed, images, base)
            yield base
        yield _one(arch, recipe, k, _token(k, token, study.protocol), seed, images, base)


def _before(recipe: Recipe, protocol: str, file: Path | None = None) -> list[tuple[Recipe, int | str]]:
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
            raise StudyError(Problem("recipes that start from each other", f"recipe {recipe.name}: start", circle))
    return [*zip(reversed(chain[1:]), reversed(subsets), strict=True)]


def _token(k: int | str | None, token: str, protocol: str) -> str:
    """The subset's token; with k images per class `parity` draws as published."""
    return f"p{k}" if protocol == "parity" and isinstance(k, int) else token


def _one(
    arch: str,
    recipe: Recipe,
    k: int | str | None,
    token: str,
    seed: int,
    images: dict[str, Any],
    base: Run | None = None,
) -> Run:
    readable = f"{arch}_{images['dataset']}_{token}_s{seed}"
    # Other objectives than supervised training name themselves, as the published ids do.
    readable = readable if recipe.objective == "supervised" else f"{recipe.objective}_{readable}"
    settings = {**images, "samples_per_class": k, "subset": token, "seed": seed, "start": base and base.run}
    return _named(readable, "trained", arch, recipe=recipe.model_dump(mode="json"), **settings)


def _named(readable: str, kind: str, arch: str, **settings: Any) -> Run:
    """The run with its name: readable, plus a hash of what determines its weights (not of where images lie)."""
    family = "baseline" if kind == "baseline" else names.family(arch)
    determines = {key: value for key, value in settings.items() if key not in ("dataset_settings", "weights")}
    definition = {} if kind == "baseline" else names.definition(arch)
    key = content_hash({"kind": kind, "arch": definition, "version": TRAINING_VERSION, **determines})
    return Run(f"{re.sub('[^A-Za-z0-9._-]', '-', readable)}-{key}", kind, arch, family, **settings)
