"""A small image folder of JPEG files, cut out of the two photographs that come with scikit-learn."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.datasets.subset_sampling import draw
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.run_table import Run

CLASSES = ("china", "flower", "mixed")


def photographs(root: Path, per_class: int = 6, size: tuple[int, int] = (96, 72)) -> Path:
    """`root`/train and `root`/val with three class folders; pictures of `size` (width, height)."""
    pictures = [Image.fromarray(array) for array in load_sample_images().images]
    rng = np.random.default_rng(0)
    for split, n in (("train", per_class), ("val", 2)):
        for label, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                picture = pictures[(label + i // 2 * (label == 2)) % 2]
                left, top = (int(rng.integers(0, side - 160)) for side in picture.size)
                part = picture.crop((left, top, left + 160, top + 120)).resize(size, Image.Resampling.BICUBIC)
                part.save(folder / f"{i:02d}.jpg", quality=90)
    return root


def photograph_run(root: Path, recipe: Recipe, k: int = 4, seed: int = 3, **settings: Any) -> tuple[Run, Path]:
    """A run on `k` images a class of the folder, and its subset file."""
    found = DatasetSettings("imagefolder", root=str(root), **settings)
    index = load_index("photographs", found, "train")
    subset = root / f"subset-{k}-{seed}.parquet"
    write_subset(subset, index, draw(index, k, 0), k, 0)
    run = Run(
        run="r",
        kind="trained",
        arch="resnet18",
        family="ResNet",
        dataset="photographs",
        dataset_settings=found,
        fingerprint=index.fingerprint,
        samples_per_class=k,
        subset=str(k),
        seed=seed,
        recipe=recipe,
    )
    return run, subset
