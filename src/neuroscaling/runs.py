"""The run table: what a study file's `runs:` expands to. Light: imports no torch."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

from neuroscaling.config import BaselineRuns, PretrainedRuns, Section, Study, TrainedRuns, UntrainedRuns
from neuroscaling.hashing import content_hash
from neuroscaling.models import names
from neuroscaling.training.recipe import load_recipe
from neuroscaling.training.version import TRAINING_VERSION


@dataclass(frozen=True)
class Run:
    """One network (or baseline) with everything that determines it; `run` is its name in the store."""

    run: str
    kind: str
    arch: str
    family: str
    dataset: str | None = None
    dataset_settings: dict[str, Any] | None = None
    fingerprint: str | None = None
    samples_per_class: int | str = 0
    subset_seed: int = 0
    seed: int = 0
    recipe: dict[str, Any] | None = field(default=None, hash=False)
    weights: str | None = None

    def settings(self) -> dict[str, Any]:
        """The run as a dictionary that JSON can hold: what training and extraction are given."""
        return asdict(self)


def expand(study: Study, fingerprints: dict[str, str]) -> list[Run]:
    """All runs of `study`, each once, in the order of the file.

    fingerprints: of each data set by its name; they enter the runs' names.
    """
    runs = [run for group in study.runs for run in _expand_group(group, study, fingerprints)]
    return list({run.run: run for run in runs}.values())


def _expand_group(group: Section, study: Study, fingerprints: dict[str, str]) -> Iterator[Run]:
    match group:
        case TrainedRuns():
            yield from _trained(group, study, fingerprints)
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


def _trained(group: TrainedRuns, study: Study, fingerprints: dict[str, str]) -> Iterator[Run]:
    recipe = load_recipe(group.recipe).model_dump(mode="json")
    for arch, dataset, k, seed in product(group.archs, group.datasets, group.samples_per_class, group.seeds):
        yield _named(
            f"{arch}_{dataset}_{k}_s{seed}",
            "trained",
            arch,
            dataset=dataset,
            dataset_settings=study.datasets[dataset].model_dump(mode="json"),
            fingerprint=fingerprints[dataset],
            samples_per_class=k,
            subset_seed=seed if group.subset_seed is None else group.subset_seed,
            seed=seed,
            recipe=recipe,
        )


def _named(readable: str, kind: str, arch: str, **settings: Any) -> Run:
    """The run with its name: readable, plus a hash of what determines its weights (not of where images lie)."""
    family = "baseline" if kind == "baseline" else names.family(arch)
    determines = {key: value for key, value in settings.items() if key not in ("dataset_settings", "weights")}
    definition = {} if kind == "baseline" else names.definition(arch)
    key = content_hash({"kind": kind, "arch": definition, "version": TRAINING_VERSION, **determines})
    return Run(f"{re.sub('[^A-Za-z0-9._-]', '-', readable)}-{key}", kind, arch, family, **settings)
