"""Banded ridge and stacking of a recording whose targets need two layers, from the study's word to rows and targets."""

import numpy as np
import pyarrow.parquet
import pytest

from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.encoding.encoding_job import question_of
from neuroscaling.encoding.layers import Layers
from neuroscaling.encoding.metrics import answers
from neuroscaling.recordings.recording import ArrayResponses, Recording, Split
from neuroscaling.study.loaded_study import load_study
from tests.encoding.test_encoding import noise, settings_of, store
from tests.encoding.test_metrics import ids, of, read_rows, scored

N_TARGETS, METRICS = 10, ["ridge", "banded", "stacking"]


def recording():
    """Each target follows early and late features alike."""
    rng, shown = np.random.default_rng(2), ids(0, 200)
    both = of(shown, 1) @ rng.standard_normal((8, N_TARGETS)) + of(shown, 2) @ rng.standard_normal((8, N_TARGETS))
    responses = ArrayResponses(both + 2 * rng.standard_normal(both.shape))
    everywhere, hemisphere = {"V1": np.ones(N_TARGETS, bool)}, np.full(N_TARGETS, "both")
    training = Split(shown, None, responses)
    return Recording("anna", training, {}, hemisphere, np.arange(N_TARGETS), everywhere, None, None, {"both": []}, True)


@pytest.mark.parametrize("features", ["centre", "standardise"])
def test_targets_that_follow_two_layers_are_predicted_better_by_both(tmp_path, features):
    path = scored(
        tmp_path,
        recording(),
        ["V1"],
        evaluate="folds",
        samples=[60, "all"],
        metrics=METRICS,
        ridge={"features": features},
    )
    largest = {row["metric"]: row for row in read_rows(path) if row["n_mapping"] == 160}
    for metric in ("banded", "stacking"):
        assert largest[metric]["raw"] > largest["ridge"]["raw"] + 0.05
        assert largest[metric]["layer"] in ("early", "late")
    targets = pyarrow.parquet.read_table(path.with_name("run.targets.parquet")).to_pandas()
    shared = targets[targets["n_mapping"] == 160].groupby("metric")["effective_layers"].median()
    assert shared["ridge"] == 1
    assert (shared[["banded", "stacking"]].between(1.4, 3)).all()


def test_too_little_memory_says_how_much_the_layers_take(tmp_path):
    own = recording()
    made = {f"noise{i}": noise(i, 8) for i in range(40)}
    activations, settings = store(tmp_path, own.stimulus_ids, made), settings_of(evaluate="folds", memory_mb=70)
    question = question_of(own, Layers.of(open_store(activations), own.stimulus_ids, 500), settings, ["V1"])
    with pytest.raises(DataError, match=r"memory_mb: 70 doesn't hold the inner products of 40 layers"):
        answers(question, ["banded"])


def test_parity_and_absolute_penalties_are_refused_with_the_study(tmp_path):
    study = tmp_path / "study.yaml"

    def written(metrics, ridge="{}", protocol="corrected"):
        recordings = f"{{source: v4, sessions: ['190923'], metrics: [{metrics}], ridge: {ridge}}}"
        study.write_text(
            f"study: s\nruns: [{{untrained: [resnet_w8]}}]\nprotocol: {protocol}\nencoding: [{recordings}]\n"
        )
        return study

    with pytest.raises(StudyError, match="`stacking` has no counterpart in `protocol: parity`"):
        load_study(written("stacking", protocol="parity"))
    with pytest.raises(StudyError, match="`banded` scales each layer"):
        load_study(written("banded", "{relative: false}"))
    assert load_study(written("banded, stacking")).config.encoding[0].metrics == ["banded", "stacking"]
