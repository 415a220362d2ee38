"""A BrainModel that answers Brain-Score's benchmarks from stored activations, or with row numbers in their place.

Import after `neuroscaling.brainscore.environment.prepare_environment`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_vision.model_interface import BrainModel

from neuroscaling.activations.zarr_reading import Activations
from neuroscaling.brainscore.row_numbers import ROW_NUMBERS, View, missing_stimuli
from neuroscaling.core.errors import DataError, Problem, listing, nearest


class StoredBrainModel(BrainModel):
    """Activations of one run, its layers of each region and one for behaviour, as a BrainModel.

    layers: for each region one layer or several, whose features are put side by side; view: answer `look_at` with
    row numbers of it in place of features; degrees: those of the benchmark being scored, so that Brain-Score leaves its
    images alone: they were placed on the model's screen when the stimulus set was prepared.
    """

    def __init__(
        self,
        run: str,
        activations: Activations,
        layers: dict[str, str | Sequence[str]],
        readout: str,
        degrees: float = 8.0,
        view: View | None = None,
    ):
        self.run = run
        self.activations = activations
        self.layers = {region: [own] if isinstance(own, str) else list(own) for region, own in layers.items()}
        self.readout = readout
        self.degrees = degrees
        self.view = view
        self._region: str | None = None
        self._behavior: Any = None
        self._row = {stimulus: row for row, stimulus in enumerate(activations.stimulus_ids)}
        self._values: dict[str, np.ndarray] = {}

    @property
    def identifier(self) -> str:
        """Name of the run."""
        return self.run

    @property
    def region_layer_map(self) -> dict[str, list[str]]:
        """Layers of each region."""
        return self.layers

    def visual_degrees(self) -> float:
        """Degrees of the benchmark at hand; see the class."""
        return self.degrees

    def start_recording(self, recording_target: Any, time_bins: Any = None, **_: Any) -> None:
        """Answer from the layer of region `recording_target` from now on. Raises DataError if it has none."""
        region = getattr(recording_target, "value", recording_target)
        if region not in self.layers:
            allowed = listing(list(self.layers))
            raise DataError(
                Problem(
                    what="no layer for this region",
                    where=self.run,
                    value=region,
                    allowed=allowed,
                    nearest=nearest(region, self.layers),
                )
            )
        self._region, self._behavior = region, None

    def start_task(self, task: Any, fitting_stimuli: Any = None, **_: Any) -> None:
        """Fit Brain-Score's logistic readout to `fitting_stimuli`. Raises DataError for another task."""
        if task != BrainModel.Task.probabilities:
            raise DataError(
                Problem(
                    what="task not served", where=self.run, value=str(task), allowed=str(BrainModel.Task.probabilities)
                )
            )
        from brainscore_vision.model_helpers.brain_transformation import ProbabilitiesMapping

        self._behavior = ProbabilitiesMapping(self.run, activations_model=self._assembly, layer=self.readout)
        self._behavior.start_task(task, fitting_stimuli)

    def look_at(self, stimuli: Any, number_of_trials: int = 1, require_variance: bool = False) -> Any:
        """Assembly (presentation, neuroid) of the region's layer, or choice probabilities while a task runs."""
        if self._behavior is not None:
            return self._behavior.look_at(stimuli)
        if self._region is None:
            raise DataError(Problem(what="look_at before start_recording or start_task", where=self.run))
        if self.view is not None:
            numbers = self.view.row_numbers(stimuli["stimulus_id"].tolist())
            return packed(numbers, stimuli, list(ROW_NUMBERS), self.layers[self._region][:1] * 2)
        return self._assembly(stimuli, self.layers[self._region])

    def _assembly(
        self, stimuli: Any, layers: list[str], number_of_trials: int = 1, require_variance: bool = False
    ) -> Any:
        """Activations of `layers` side by side, as Brain-Score's extractor packs them."""
        parts = [self._rows(stimuli["stimulus_id"].tolist(), layer) for layer in layers]
        names = [layer for layer, part in zip(layers, parts, strict=True) for _ in range(part.shape[1])]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts, 1)
        return packed(values, stimuli, [f"{layer}.{i}" for i, layer in enumerate(names)], names)

    def _rows(self, stimulus_ids: list[str], layer: str) -> np.ndarray:
        stimulus_ids = [str(stimulus) for stimulus in stimulus_ids]
        missing = [stimulus for stimulus in stimulus_ids if stimulus not in self._row]
        if missing:
            raise DataError(missing_stimuli(missing, len(stimulus_ids), self.activations))
        if layer not in self._values:
            self._values[layer] = self.activations.read(layer)
        return self._values[layer][[self._row[stimulus] for stimulus in stimulus_ids]]


def packed(values: np.ndarray, stimuli: Any, neuroids: list[str], layers: list[str]) -> NeuroidAssembly:
    """An assembly (presentation, neuroid); every column of `stimuli` becomes a coordinate, since splits need them."""
    coords = {column: ("presentation", stimuli[column].values) for column in stimuli.columns}
    coords["neuroid_id"] = ("neuroid", neuroids)
    coords["layer"] = ("neuroid", layers)
    assembly = NeuroidAssembly(values, coords=coords, dims=["presentation", "neuroid"])
    assembly.attrs["stimulus_set_identifier"] = stimuli.identifier
    return assembly
