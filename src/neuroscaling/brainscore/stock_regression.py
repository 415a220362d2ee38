"""Engine `stock`: unmodified regressions of Brain-Score's, whose fits see one layer of several or some of the images.

Import after `neuroscaling.brainscore.environment.prepare_environment`.
"""

from typing import Any

import numpy as np
import sklearn.base
from sklearn.cross_decomposition import PLSRegression

from neuroscaling.brainscore.kernel_regression import Layered, components_asked
from neuroscaling.regression.mapping_images import mapping_rows


class StockRegression:
    """A regression of Brain-Score's on assemblies of features, of which each fit sees a layer and some of the images.

    theirs: Brain-Score's own; by_split and `begin`: as of `KernelRegression`; balanced_by: coordinate of presentations
    that subsets of the images balance.
    """

    def __init__(self, theirs: Any, by_split: bool, balanced_by: str | None = None):
        self._theirs = theirs
        self._by_split = by_split
        self._balanced_by = balanced_by

    def begin(self, layers: Layered, n_images: int | None = None) -> None:
        """Fit from now on in `layers`, one or one for each fit, on `n_images` mapping images; on all without them."""
        self._layers, self._n_images, self._fits = layers, n_images, 0
        self._fitted = self._theirs if n_images is None else self._for_few(n_images)

    def fit(self, source: Any, target: Any) -> None:
        """Fit on the features of the next layer."""
        self._fits += 1
        source = self._features(source)
        if self._n_images is not None:
            seed = self._fits - 1 if self._by_split else 0
            labels = None if self._balanced_by is None else target[self._balanced_by].values
            chosen = mapping_rows(source["stimulus_id"].values.astype(str), self._n_images, seed, labels)
            source, target = source[chosen], target[chosen]
        self._fitted.fit(source, target)

    def predict(self, source: Any) -> np.ndarray:
        """Predictions from the features of the layer of the last fit."""
        return self._fitted.predict(self._features(source))

    @property
    def alpha_(self) -> float:
        """Penalty that the last fit selected; AttributeError where nothing is selected."""
        return self._fitted.alpha_

    def _for_few(self, n_images: int) -> Any:
        if not isinstance(self._theirs, PLSRegression):
            return self._theirs
        asked = components_asked(self._theirs, n_images)
        return sklearn.base.clone(self._theirs).set_params(n_components=asked)

    def _features(self, source: Any) -> Any:
        if isinstance(self._layers, str):
            return source
        return source[:, source["layer"].values == self._layers[self._fits - 1]]
