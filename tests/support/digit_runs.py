"""Runs on scikit-learn's digits, and the files of their images: what the tests of training share."""

from pathlib import Path
from typing import Any

from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.datasets.subset_sampling import draw
from neuroscaling.study.recipes import Recipe, load_recipe
from neuroscaling.study.run_table import Run

DIGITS = DatasetSettings("digits")


def digit_run(
    arch: str = "resnet_w8", k: int = 10, seed: int = 0, recipe: str = "digits", name: str = "", **changes: Any
) -> Run:
    """A run of four epochs; `changes` are of its recipe."""
    content = load_recipe(recipe).model_dump() | {"epochs": 4, "warmup_epochs": 0.5, **changes}
    return Run(
        run=f"{arch}_digits_{k}_s{seed}{name}-00000000",
        kind="trained",
        arch=arch,
        family="ResNet",
        dataset="digits",
        dataset_settings=DIGITS,
        fingerprint=load_index("digits", DIGITS, "train").fingerprint,
        samples_per_class=k,
        subset=str(k),
        subset_seed=seed,
        seed=seed,
        recipe=Recipe.model_validate(content),
    )


def digit_subset(folder: Path, run: Run) -> Path:
    """The file of the run's images, in `folder`."""
    path = Path(folder) / f"{run.subset}-s{run.subset_seed}.parquet"
    if not path.exists():
        index = load_index("digits", DIGITS, "train")
        rows = draw(index, run.samples_per_class, run.subset_seed)
        write_subset(path, index, rows, run.subset, run.subset_seed)
    return path
