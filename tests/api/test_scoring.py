"""`score` from Python: planted layers are found, whatever the responses are given as, and mistakes are named.

That its numbers are those of a study is tested in tests/encoding/test_planted_arrays.py.
"""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr

import neuroscaling as ns
from neuroscaling.core.errors import NeuroscalingError

N, UNITS, REPETITIONS = 60, 6, 3
NAMES = [f"s{i:02d}" for i in range(N)]
REGIONS = ["V1", "V1", "V1", "IT", "IT", "IT"]
RNG = np.random.default_rng(0)
FEATURES = {"early": RNG.standard_normal((N, 5)), "late": RNG.standard_normal((N, 5))}
SIGNAL = np.hstack([FEATURES[layer] @ RNG.standard_normal((5, 3)) for layer in ("early", "late")])
VALUES = SIGNAL[..., None] + 0.7 * RNG.standard_normal((N, UNITS, REPETITIONS))
LAYERS = xr.DataTree.from_dict(
    {
        layer: xr.Dataset({"activations": (("stimulus", "neuroid"), values)}, coords={"stimulus": NAMES})
        for layer, values in FEATURES.items()
    }
)
RESPONSES = xr.DataArray(
    VALUES,
    dims=("stimulus", "neuroid", "repetition"),
    coords={"stimulus": NAMES, "region": ("neuroid", REGIONS)},
)


@pytest.mark.parametrize("metric", ["ridge", "pls", "rsa", "cka"])
def test_the_planted_layer_of_each_region_is_found(metric):
    found = ns.score(LAYERS, RESPONSES, metric)
    assert dict(zip(found.regions["region"], found.regions["layer"], strict=True)) == {"V1": "early", "IT": "late"}
    assert (found.regions["score"] > 0.3).all() and (found.regions["error"] > 0).all()
    assert len(found.neuroids) == (UNITS if metric in ("ridge", "pls") else 0)
    assert metric in repr(found) and "<table" in found._repr_html_()


def test_units_have_scores_of_their_own_divided_by_the_ceiling_of_their_repetitions():
    neuroids = ns.score(LAYERS, RESPONSES).to_pandas("neuroids")
    assert neuroids["layer"].tolist() == ["early"] * 3 + ["late"] * 3 and neuroids["region"].tolist() == REGIONS
    np.testing.assert_allclose(neuroids["score"], neuroids["r"] ** 2 / neuroids["ceiling"])
    assert neuroids["ceiling"].between(0.8, 1).all() and (neuroids["r_error"] > 0).all()
    data = ns.score(LAYERS, RESPONSES).to_xarray()
    assert data["neuroid_r"].dims == ("neuroid",) and data["score"].dims == ("region",)


def shuffled() -> pd.DataFrame:
    """The same responses as a table of presentations, in another order."""
    table = pd.concat([pd.DataFrame(VALUES[..., i], index=NAMES) for i in range(REPETITIONS)])
    return table.sample(frac=1, random_state=0).rename_axis("stimulus")


@pytest.mark.parametrize(
    "given",
    [
        VALUES,
        shuffled(),
        pl.from_pandas(shuffled().rename(columns=str).reset_index()),
        RESPONSES.drop_vars("region").isel(stimulus=slice(None, None, -1)).rename(stimulus="presentation"),
        RESPONSES.drop_vars("region").transpose(),
    ],
    ids=["numpy", "pandas", "polars", "presentations", "transposed"],
)
def test_responses_of_any_kind_and_order_are_matched_by_name(given):
    if isinstance(given, xr.DataArray) and "presentation" in given.dims:
        given = given.assign_coords(stimulus_id=("presentation", given["presentation"].values))
    expected = ns.score(LAYERS, RESPONSES, test=NAMES[:20], metric="ridge")
    found = ns.score(LAYERS, given, test=NAMES[:20], regions=REGIONS)
    # The order of stimuli draws other folds within the mapping stimuli.
    np.testing.assert_allclose(found.regions["r"], expected.regions["r"], atol=0.02)
    np.testing.assert_allclose(found.regions["ceiling"], expected.regions["ceiling"], rtol=1e-6)
    assert found.regions["layer"].tolist() == ["early", "late"]


def test_nothing_of_held_out_stimuli_enters_a_choice():
    test = NAMES[:20]
    changed = RESPONSES.copy()
    changed[:20] = np.random.default_rng(1).standard_normal(changed[:20].shape)
    one, other = ns.score(LAYERS, RESPONSES, test=test), ns.score(LAYERS, changed, test=test)
    for column in ("layer", "cv"):
        assert one.neuroids[column].tolist() == other.neuroids[column].tolist()
    assert (other.neuroids["r"].abs() < 0.7).all()


def test_layers_may_be_arrays_and_ceilings_may_be_given_or_none():
    early = LAYERS["early"]["activations"]
    assert ns.score(early, RESPONSES, ceiling=None).regions["scale"].tolist() == ["r2", "r2"]
    given = ns.score(xr.Dataset({"early": early}), RESPONSES, ceiling=[0.5] * UNITS)
    assert given.regions["ceiling"].tolist() == [0.5, 0.5]
    averages = ns.score(early, RESPONSES.mean("repetition"))
    assert averages.regions["scale"].tolist() == ["r2", "r2"] and "no ceiling" in repr(averages)


def test_what_was_made_up_is_called_simulated():
    assert "SIMULATED" in repr(ns.score(LAYERS, RESPONSES.assign_attrs(simulated=True)))
    assert "SIMULATED" not in repr(ns.score(LAYERS, RESPONSES))


def test_units_that_do_not_vary_and_stimuli_that_were_not_shown_are_left_out_and_named():
    changed = RESPONSES.copy()
    changed[:, 1], changed[5] = 2.0, np.nan
    found = ns.score(LAYERS, changed)
    assert found.regions["n_neuroids"].tolist() == [2, 3] and found.stimuli == N - 1
    assert "1 neuroids that don't vary: 1" in repr(found) and "s05" in repr(found)


def with_gap():
    changed = RESPONSES.copy()
    changed[3, 2] = np.nan
    return changed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metric": "rigde"}, "no such metric.*nearest: +ridge"),
        ({"activations": "layers"}, "not activations"),
        ({"activations": LAYERS["early"]["activations"].rename(stimulus="image")}, "other dimensions"),
        ({"activations": LAYERS["early"]["activations"][:9]}, "51 of 60 stimuli have responses and no activations"),
        ({"responses": "responses"}, "not responses"),
        ({"responses": VALUES[:10]}, "responses without names of stimuli"),
        ({"responses": shuffled().rename(index={"s03": "3"})}, "1 of 60 stimuli have responses and no activations"),
        ({"responses": shuffled().assign(name="x")}, r"hold no numbers.*set_index\('name'\)"),
        ({"responses": with_gap()}, "1 responses are missing.*stimulus s03, neuroid 2"),
        ({"ceiling": "repeat"}, "no such ceiling.*nearest: +repeats"),
        ({"ceiling": [0.5]}, "no ceilings of these neuroids"),
        ({"regions": ["V1"]}, "of another length"),
        ({"test": ["s3"]}, "1 stimuli have no response"),
        ({"test": NAMES}, "no test or no training"),
        ({"folds": 1}, r"score\(\): folds"),
    ],
    ids=str,
)
def test_errors_name_what_is_wrong(arguments, words):
    asked = {"activations": LAYERS, "responses": RESPONSES} | arguments
    with pytest.raises(NeuroscalingError, match=f"(?s){words}"):
        ns.score(**asked)
