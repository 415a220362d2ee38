"""Settings of an encoding come from the study's entry, and its protocol completes them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroscaling.regression.voxelwise.settings import PENALTY_GRIDS, SCORE_OF_PROTOCOL, RidgeSettings

FOLDS = {"corrected": 5, "parity": 8}
SEED = 0


@dataclass(frozen=True)
class EncodingSettings:
    """What determines an encoding beside the features and the responses.

    samples: mapping images of each size, "all" for all there are; repeats: draws of the nested subsets; evaluate:
    "test" or "validation" (`validation` training images held out); equalise: training images used of a subject, or
    None; final: whether the test images are predicted from all training images; draws: bootstraps of images;
    parity: rows, folds, features and intercepts as in github.com/suyamat/ScalingVisionEncoder.
    """

    samples: tuple[int | str, ...]
    repeats: int
    evaluate: str
    validation: int
    equalise: int | None
    final: bool
    draws: int
    parity: bool
    ridge: dict[str, Any]

    @classmethod
    def of(cls, entry: dict[str, Any], protocol: str) -> "EncodingSettings":
        """From an entry of `encoding:` as the study file has it."""
        return cls(
            tuple(entry["samples"]),
            entry["repeats"],
            entry["evaluate"],
            entry["validation"],
            entry["equalise"],
            bool(entry.get("submissions")),
            entry["draws"],
            protocol == "parity",
            entry["ridge"],
        )

    @property
    def folds(self) -> int:
        """Folds of the mapping images."""
        return self.ridge["folds"] or FOLDS[self._protocol]

    @property
    def _protocol(self) -> str:
        return "parity" if self.parity else "corrected"

    def ridge_settings(self, only_products: bool = False) -> RidgeSettings:
        """What the engine is asked for. only_products: features are not kept, so that they can't be standardised."""
        asked, protocol = self.ridge, self._protocol
        lowest, highest, number = asked["penalties"] or PENALTY_GRIDS[protocol]
        scale = asked["features"] or ("centre" if self.parity or only_products else "standardise")
        return RidgeSettings(
            alphas=tuple(np.geomspace(lowest, highest, number).tolist()),
            relative=not self.parity if asked["relative"] is None else asked["relative"],
            score=asked["score"] or SCORE_OF_PROTOCOL[protocol],
            scale=scale,
            intercept=not self.parity,
            engine=asked["engine"],
            memory_mb=asked["memory_mb"],
        )
