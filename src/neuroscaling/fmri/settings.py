"""Settings of an encoding come from the study's section, and the protocol completes what the section leaves open."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neuroscaling.regression.voxelwise.settings import PENALTY_GRIDS, SCORE_OF_PROTOCOL, RidgeSettings
from neuroscaling.study.study_sections import AlgonautsEncoding, FmriEncoding, Ridge

FOLDS = {"corrected": 5, "parity": 8}
SEED = 0


@dataclass(frozen=True)
class EncodingSettings:
    """What determines an encoding beside the features and the responses.

    samples: mapping images of each size, "all" for all there are; repeats: draws of the nested subsets; evaluate:
    "test" or "validation" (`validation` training images held out); equalise: training images used of a subject, or
    None; final: whether the test images are predicted from all training images; draws: bootstraps of images;
    parity: rows, folds, features and intercepts as in github.com/suyamat/ScalingVisionEncoder; ridge: its keys that are
    None follow the protocol.
    """

    samples: tuple[int | Literal["all"], ...]
    repeats: int
    evaluate: Literal["test", "validation"]
    validation: int
    equalise: int | None
    final: bool
    draws: int
    parity: bool
    ridge: Ridge

    @classmethod
    def of(cls, entry: FmriEncoding, protocol: str) -> "EncodingSettings":
        """From an entry of `encoding:`; a source that takes submissions has a final model where one is asked for."""
        return cls(
            samples=tuple(entry.samples),
            repeats=entry.repeats,
            evaluate=entry.evaluate,
            validation=entry.validation,
            equalise=entry.equalise,
            final=isinstance(entry, AlgonautsEncoding) and bool(entry.submissions),
            draws=entry.draws,
            parity=protocol == "parity",
            ridge=entry.ridge,
        )

    @property
    def folds(self) -> int:
        """Folds of the mapping images."""
        return self.ridge.folds or FOLDS[self._protocol]

    @property
    def _protocol(self) -> str:
        return "parity" if self.parity else "corrected"

    def plain(self) -> dict[str, Any]:
        """The settings as JSON, for the details of a score file."""
        return {**vars(self), "ridge": self.ridge.model_dump(mode="json")}

    def ridge_settings(self, only_products: bool = False) -> RidgeSettings:
        """What ridge is asked for. only_products: features are not kept, so that they can't be standardised."""
        asked, protocol = self.ridge, self._protocol
        lowest, highest, number = asked.penalties or PENALTY_GRIDS[protocol]
        return RidgeSettings(
            alphas=tuple(np.geomspace(lowest, highest, number).tolist()),
            relative=not self.parity if asked.relative is None else asked.relative,
            score=asked.score or SCORE_OF_PROTOCOL[protocol],
            scale=asked.features or ("centre" if self.parity or only_products else "standardise"),
            intercept=not self.parity,
            memory_mb=asked.memory_mb,
        )
