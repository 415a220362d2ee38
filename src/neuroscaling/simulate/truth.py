"""What the simulated data were made of, stored beside them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

README = """# SIMULATED data

Everything in this folder was computed from scikit-learn's handwritten digits by a known rule; nothing was recorded from
an animal or a person. It serves to run the pipeline and to test that it finds what was put in.

- `brainscore/`: recordings and choices in the file formats of Brain-Score.
- `algonauts2023/`: fMRI in the layout of the Algonauts 2023 Challenge.
- `truth/`: what generated them: one file an experiment and region, with `stimulus_ids`, the `features` of each image,
  the noise-free responses `clean`, the `weights` (feature, target) and each target's `reliability` (the share of the
  variance of the mean over repetitions that is not noise).

The rule: V1 is Gabor energy; V2 the products of neighbouring energies; V4 mixtures of those with evidence for each
category; IT is evidence for each category, as support vector machines see it that were fitted on moved and dimmed
digits of the training split; choices follow the same evidence. Images are from the validation split: no network here
was trained on them.
"""


@dataclass(frozen=True)
class Truth:
    """What generated one region's data in one experiment.

    features (images, features); clean (images, targets): responses without noise; weights (features, targets);
    reliability (targets,).
    """

    name: str
    stimulus_ids: list[str]
    features: np.ndarray
    clean: np.ndarray
    weights: np.ndarray
    reliability: np.ndarray


def write_truth(folder: Path, truths: list[Truth]) -> None:
    """One npz file for each of `truths`, and a README that says SIMULATED."""
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(README, encoding="utf-8")
    for truth in truths:
        np.savez(
            folder / f"{truth.name}.npz",
            stimulus_ids=np.array(truth.stimulus_ids),
            features=truth.features.astype(np.float32),
            clean=truth.clean.astype(np.float32),
            weights=truth.weights.astype(np.float32),
            reliability=truth.reliability.astype(np.float32),
        )
