"""`score` tells how well activations predict responses, or how alike they are, by the pipeline's own encoding."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from neuroscaling.activations.layout import not_finite
from neuroscaling.activations.zarr_reading import Activations
from neuroscaling.api.responses import Aligned, aligned_responses, by_name
from neuroscaling.api.tables import table_html, table_text
from neuroscaling.core.errors import DataError, Problem, StudyError, listing, nearest
from neuroscaling.encoding.encoding_job import question_of
from neuroscaling.encoding.fits import Question, TargetFits
from neuroscaling.encoding.layers import Layers
from neuroscaling.encoding.metrics import answers
from neuroscaling.encoding.settings import SEED, EncodingSettings
from neuroscaling.encoding.subject_scores import Evaluated, score_rows, target_table
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.scores import bootstrap_correlations, normalised
from neuroscaling.study.sections.encoding import RecordingsEncoding
from neuroscaling.study.sections.validation import validated
from neuroscaling.study.sections.yaml_document import Document

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

METRICS = ("ridge", "pls", "rsa", "cka")
REGION_COLUMNS = ("region", "score", "error", "r", "ceiling", "scale", "layer", "n_neuroids", "n_mapping", "reason")
DRAWS = 200
COLUMNS_AT_ONCE = 4096


@dataclass(frozen=True, repr=False)
class Score:
    """How well layers predict responses, or how alike they are, on stimuli that no choice and no fit has seen.

    Attributes:
        regions: a row for each region, with `score`, its standard `error`, the mean correlation `r`, the `ceiling`, the
            `scale` that tells how the score was made of both, the `layer` (of neuroids that have one each, the most
            frequent), numbers of neuroids and of mapping stimuli, and the `reason` where there is no score.
        neuroids: a row for each neuroid: its `region`, `layer`, `score`, correlation `r` with the standard error
            `r_error`, and `ceiling`; and `cv`, what its layer was chosen by. Layers are those of the first fold. Empty
            for `rsa` and `cka`, which compare whole regions.
        metric: its name.
        evaluated: how the stimuli were held out, in words.
        stimuli: how many stimuli there are.
        notes: what a reader must know, such as what was left out of the responses.
    """

    regions: "pd.DataFrame"
    neuroids: "pd.DataFrame"
    metric: str
    evaluated: str
    stimuli: int
    notes: tuple[str, ...] = ()

    def to_pandas(self, of: str = "regions") -> "pd.DataFrame":
        """The table of `regions`, or that of `neuroids`. Raises StudyError for another word."""
        if of not in ("regions", "neuroids"):
            allowed, near = "regions, neuroids", nearest(of, ("regions", "neuroids"))
            raise StudyError(
                Problem(what="no such table", where="to_pandas()", value=of, allowed=allowed, nearest=near)
            )
        return (self.regions if of == "regions" else self.neuroids).copy()

    def to_xarray(self) -> "xr.Dataset":
        """Both tables as one data set: variables of regions along `region`, of neuroids along `neuroid`."""
        import xarray as xr

        found = xr.Dataset.from_dataframe(self.regions.set_index("region"))
        if len(self.neuroids):
            own = xr.Dataset.from_dataframe(self.neuroids.set_index("neuroid"))
            found = found.merge(own.rename({name: f"neuroid_{name}" for name in own.data_vars}))
        return found.assign_attrs(metric=self.metric, evaluated=self.evaluated, stimuli=self.stimuli)

    @property
    def _title(self) -> str:
        return f"{self.metric}, {self.evaluated}, {self.stimuli} stimuli"

    def __repr__(self) -> str:
        return "\n".join([f"Score: {self._title}", table_text(self._shown), *self._remarks])

    def _repr_html_(self) -> str:
        return table_html(f"Score: {self._title}", self._shown, self._remarks)

    @property
    def _shown(self) -> "pd.DataFrame":
        return self.regions.drop(columns="reason").dropna(axis="columns", how="all")

    @property
    def _remarks(self) -> list[str]:
        why = self.regions.dropna(subset="reason")
        return [
            *(f"{region}: {reason}" for region, reason in zip(why["region"], why["reason"], strict=True)),
            *self.notes,
        ]


def score(
    activations: "xr.DataTree | xr.Dataset | xr.DataArray",
    responses: Any,
    metric: str = "ridge",
    *,
    ceiling: Any = "repeats",
    regions: Any = None,
    test: Sequence[str] | None = None,
    folds: int = 5,
    memory_mb: int = 2000,
) -> Score:
    """Score layers of a network against responses: each region, and each neuroid, with the layer that suits it.

    Stimuli are matched by name. The layer, and of ridge the penalty, are chosen on mapping stimuli alone, by folds
    within them; what is reported is of stimuli that are held out. Numbers are those of `encoding:` in a study.

    Args:
        activations: what `extract` returned; or layers of another source, as arrays (stimulus, neuroid).
        responses: an array of xarray with the dimensions `stimulus` and `neuroid`, perhaps `repetition`, and perhaps
            the coordinate `region` of neuroids; a table of pandas or polars with a row for each presentation, whose
            index (of polars the column `stimulus`) has the names of stimuli; or an array of numpy, (stimuli, neuroids)
            or (stimuli, neuroids, repetitions), in the order of the activations. Repetitions are averaged. NaN stands
            for what was not recorded.
        metric: `ridge` (a layer and a penalty for each neuroid), `pls` (partial least squares, a layer for each
            region), `rsa` or `cka` (without a mapping, a layer for each region).
        ceiling: `repeats` for the share of variance that repetitions say can be explained, where there are any; the
            same for each neuroid as an array, or one number; or None. Of `rsa` and `cka` nothing is divided.
        regions: the region of each neuroid, where the responses don't say; `|` stands between several.
        test: names of the stimuli that are held out. By default all are, in turn, in `folds`.
        folds: of shuffled stimuli, each held out once.
        memory_mb: bound of the working memory beside activations and responses, in megabytes.

    Returns:
        A score, with a table of regions and one of neuroids.

    Raises:
        NeuroscalingError: for stimuli without activations, responses with gaps, unknown options, and what is too few.
    """
    settings = _settings(metric, test is not None, folds, memory_mb)
    layers = _layers_of(activations)
    aligned = aligned_responses(responses, layers.stimulus_ids, regions, ceiling, test)
    recording = aligned.recording
    # What `Layers` asks of stored activations, arrays of xarray have too.
    shown = Layers.of(cast(Activations, layers), recording.stimulus_ids, memory_mb)
    question = question_of(recording, shown, settings, [name for name, own in recording.regions.items() if own.any()])
    found = answers(question, settings.metrics)
    evaluated = [Evaluated(question, one, question.evaluations[0]) for one in found if isinstance(one, TargetFits)]
    return Score(
        _regions(question, found, evaluated),
        _neuroids(aligned, evaluated),
        metric,
        f"{folds} folds held out in turn" if test is None else f"{len(set(recording.test.stimulus_ids))} held out",
        len(set(recording.stimulus_ids)),
        (*_simulated(activations, responses), *aligned.notes),
    )


def _simulated(*given: Any) -> list[str]:
    """A note where attributes say that stimuli or responses were made up, as those of the pipeline do."""
    made_up = any(getattr(one, "attrs", {}).get("simulated") is True for one in given)
    return ["SIMULATED data: these scores say nothing about brains"] if made_up else []


def _settings(metric: str, has_test: bool, folds: int, memory_mb: int) -> EncodingSettings:
    if metric not in METRICS:
        near, allowed = nearest(metric, METRICS), listing(METRICS)
        raise StudyError(
            Problem(what="no such metric", where="score(): metric", value=metric, allowed=allowed, nearest=near)
        )
    content = {
        "source": "python",
        "evaluate": "test" if has_test else "folds",
        "held_out_folds": folds,
        "metrics": [metric],
        "ridge": {"memory_mb": memory_mb},
        "draws": DRAWS if has_test else 0,  # folds tell the error by themselves
    }
    entry, document, faults = validated(RecordingsEncoding, Document("score()", content))
    if faults or entry is None:
        problems = document.problems(faults)
        raise StudyError([replace(one, where=str(one.where).replace("held_out_folds", "folds")) for one in problems])
    return EncodingSettings.of(entry, "corrected")


@dataclass(frozen=True)
class LayerArrays:
    """Layers as arrays of xarray, read as stored activations are: layer by layer, and wide ones in columns.

    arrays: (stimulus, neuroid) by layer, early to late; path: what errors call it.
    """

    arrays: Mapping[str, "xr.DataArray"]
    stimulus_ids: list[str]
    path: str

    @property
    def layers(self) -> list[str]:
        """The layers, early to late."""
        return list(self.arrays)

    def keeps(self, layer: str, what: str) -> bool:
        """Features are all that there is."""
        return what == "features"

    def shape(self, layer: str) -> tuple[int, int]:
        """Stimuli and features of a layer."""
        n, width = self.arrays[layer].shape
        return n, width

    def rows_of(self, stimulus_ids: Sequence[str]) -> np.ndarray:
        """The row of each of `stimulus_ids`. Raises DataError for those without activations, with the nearest."""
        return by_name(stimulus_ids, self.stimulus_ids)

    def read(self, layer: str) -> np.ndarray:
        """All values of a layer. Raises DataError for NaN."""
        return np.hstack(list(self.blocks(layer)))

    def blocks(self, layer: str) -> Iterator[np.ndarray]:
        """The features of all stimuli some columns at a time."""
        array = self.arrays[layer]
        for start in range(0, array.shape[1], COLUMNS_AT_ONCE):
            values = np.asarray(array[:, start : start + COLUMNS_AT_ONCE].values)
            if bad := not_finite(values):
                what = f"{bad} activations are NaN or infinite"
                raise DataError(Problem(what=what, where=f"score(): activations, layer {layer}"))
            yield values

    def gram(self, layer: str) -> Gram:
        """Inner products of the features of all stimuli."""
        return Gram.of_blocks(self.blocks(layer))


def _layers_of(activations: Any) -> LayerArrays:
    """Raises StudyError for what are no activations, DataError for layers of other stimuli or dimensions."""
    import xarray as xr

    found: dict[str, xr.DataArray]
    if isinstance(activations, xr.DataTree):
        nodes = [node for node in activations.subtree if node.data_vars]
        found = {_called(node, str(name)): one for node in nodes for name, one in node.data_vars.items()}
    elif isinstance(activations, xr.Dataset):
        found = {str(name): variable for name, variable in activations.data_vars.items()}
    elif isinstance(activations, xr.DataArray):
        found = {str(activations.name or "activations"): activations}
    else:
        allowed, value = "what extract() returns, or an array, data set or tree of xarray", type(activations).__name__
        raise StudyError(Problem(what="not activations", where="score(): activations", value=value, allowed=allowed))
    if not found:
        raise DataError(Problem(what="no layer", where="score(): activations", fix="name layers to extract"))
    wrong = {layer: one.dims for layer, one in found.items() if one.ndim != 2 or "stimulus" not in one.dims}
    if wrong:
        layer, dims = next(iter(wrong.items()))
        allowed = "(stimulus, neuroid), the latter by any name"
        raise DataError(
            Problem(what="other dimensions", where=f"score(): activations, {layer}", value=dims, allowed=allowed)
        )
    arrays = {layer: one.transpose("stimulus", ...) for layer, one in found.items()}
    ids = {layer: [str(name) for name in one["stimulus"].values] for layer, one in arrays.items()}
    first = next(iter(ids.values()))
    if other := next((layer for layer, own in ids.items() if own != first), None):
        what = "layers of other stimuli, or in another order"
        raise DataError(Problem(what=what, where="score(): activations", value=f"{other}, {next(iter(ids))}"))
    if len(set(first)) < len(first):
        twice = sorted({name for name in first if first.count(name) > 1})
        raise DataError(
            Problem(what="a stimulus is there twice", where="score(): activations", value=listing(twice, 5))
        )
    return LayerArrays(arrays, first, "score(): activations")


def _called(node: "xr.DataTree", variable: str) -> str:
    """What a layer of a tree is called: as its node, or where that has several variables, as node and variable."""
    path = node.path.strip("/")
    return path if path and len(node.data_vars) == 1 else f"{path}/{variable}".strip("/")


def _regions(question: Question, found: Sequence[Any], evaluated: Sequence[Evaluated]) -> "pd.DataFrame":
    import pandas as pd

    rows = [{**row, "r": row["raw"], "n_neuroids": row["n_targets"]} for row in score_rows(question, found, evaluated)]
    table = pd.DataFrame(rows)[list(REGION_COLUMNS)]
    numbers = ["score", "error", "r", "ceiling"]
    return table.astype(dict.fromkeys(numbers, "float64"))


def _neuroids(aligned: Aligned, evaluated: Sequence[Evaluated]) -> "pd.DataFrame":
    import pandas as pd

    columns = ["neuroid", "region", "layer", "score", "r", "r_error", "ceiling", "cv"]
    if not evaluated:
        return pd.DataFrame(columns=columns)
    table = pd.DataFrame(target_table(evaluated))
    table["r_error"] = np.concatenate([_errors(one) for one in evaluated])
    r = table["r"].to_numpy()
    has_ceiling = evaluated[0].ceiling is not None
    table["score"] = normalised(r, table["ceiling"].to_numpy()) if has_ceiling else r * np.abs(r)
    table["neuroid"] = np.asarray(aligned.neuroids, dtype=object)[table["vertex"]]
    table["layer"] = [entry if not grid else f"{entry}@{grid}" for entry, grid in zip(table["layer"], table["grid"],
                                                                                     strict=True)]  # fmt: skip
    table["region"] = [own or regions for own, regions in zip(table["region"], table["regions"], strict=True)]
    order = table["vertex"].to_numpy().argsort(kind="stable")
    return table[columns].iloc[order].reset_index(drop=True)


def _errors(one: Evaluated) -> np.ndarray:
    """Standard error of the correlation of each neuroid: over folds, or of a test set over resampled stimuli."""
    n = one.question.n_folds
    if n > 1:
        of_folds = np.array([task[0] for task in one.correlations])
        return np.asarray(of_folds.std(axis=0, ddof=1) / np.sqrt(n))
    draw = partial(bootstrap_correlations, n_bootstraps=DRAWS, seed=SEED)
    return np.asarray(draw(one.predicted(0, 0).astype(np.float64), one.observed[0].astype(np.float64)).std(axis=0))
