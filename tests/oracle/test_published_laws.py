"""The published fits against a witness: scipy's BFGS from every point of the published grid (tests/oracle/witness.py).

Needs the public tables of github.com/epflneuroailab/scaling-primate-vvs (see `published_dir` in tests/conftest.py).
What the witness finds takes minutes; tests/oracle/witness_losses.json holds it (perf/witness.py), with checksums of the
points and of the weights of resamples that it belongs to.
"""

import numpy as np
import pytest
from tests.oracle import witness
from tests.oracle.studies import (
    RESAMPLES,
    SCORE_FORMS,
    SCORE_RESAMPLES,
    SCORE_STUDY,
    WITNESS_FILE,
    parity_studies,
    read_table,
)
from tests.support.law_points import noisy, points, unit

from neuroscaling.core.files import read_json
from neuroscaling.laws.bootstrap import resample_weights
from neuroscaling.laws.fitting import fit
from neuroscaling.laws.forms import form_by_name
from neuroscaling.laws.loss import DELTA
from neuroscaling.laws.study_fit import fit_table

FOUND = read_json(WITNESS_FILE)
WITNESS = FOUND["fits"]
UNPUBLISHED = {"compute_accuracy", "adv_scaling"}
ALLOWED = 1 + 1e-6
WORKED = {
    "region_it_group1": (364, 0.02956073088, {"E": 0.38466, "A": 1.14276, "alpha": 0.230024}),
    "compute_neuro": (620, 0.07267738306, {"E": 0.52268, "A": 0.54911, "alpha": 0.156928}),
}


@pytest.fixture(scope="module")
def table(published_dir):
    return read_table(published_dir)


@pytest.fixture(scope="module")
def studies(table):
    return parity_studies(table)


def ours(study, **options):
    """Our fit of a study as published, without bootstraps unless asked for."""
    settings = {"mode": "parity", "bootstraps": 0, "invert_y": study.settings["invert_y"]} | options
    return fit(study.x, study.y, **{"form": study.form, "x_scale": study.x_scale, **settings})


def test_the_witness_knows_every_fit_of_the_study(studies):
    assert set(WITNESS) == set(studies) and len(set(studies) - UNPUBLISHED) == 43
    full = {form: len(witness.grid(form)) for form in ("power_law", "power_law_shift", "chinchilla")}
    assert full == {"power_law": 150, "power_law_shift": 750, "chinchilla": 4500}
    for name, known in WITNESS.items():
        assert (known["n"], known["starts"]) == (len(studies[name].y), full[studies[name].form])


@pytest.mark.parametrize("name", WITNESS)
def test_no_fit_is_worse_than_the_witness(studies, name):
    assert ours(studies[name]).loss_value <= WITNESS[name]["loss"] * ALLOWED


@pytest.mark.parametrize("name", WITNESS)
def test_the_losses_are_the_same_function(studies, name):
    """Our sum at the witness's parameters is the witness's sum, so that the two can be compared at all."""
    study, known = studies[name], WITNESS[name]
    scores = form_by_name(study.form).curve(study.scaled, **known["params"])
    size = np.abs(np.log1p(-scores) - np.log(study.described))
    total = np.where(size <= DELTA, size**2 / 2, DELTA * (size - DELTA / 2)).sum()
    assert total == pytest.approx(known["loss"], rel=1e-7)


@pytest.mark.parametrize("name", WORKED)
def test_published_loss_and_parameters(table, studies, name):
    n, loss, params = WORKED[name]
    content, _ = fit_table(table, studies[name].settings | {"bootstraps": 0})
    assert content["n"] == n
    # The published loss is known to ten digits.
    assert content["loss"] == pytest.approx(loss, rel=1e-9)
    for parameter, value in params.items():
        digits = len(str(value).split(".")[1])
        assert content["params"][parameter] == pytest.approx(value, abs=10**-digits)


def test_published_intervals(table, studies):
    content, bootstraps = fit_table(table, studies["compute_neuro"].settings)
    assert len(bootstraps) == 1000
    published = {"E": (0.4716, 0.5535), "A": (0.4875, 0.6301), "alpha": (0.1103, 0.2128)}
    for parameter, interval in published.items():
        np.testing.assert_allclose(content["ci95"][parameter], interval, atol=6e-5)


@pytest.mark.parametrize("name", WORKED)
def test_bounds_change_nothing_where_the_law_is_identified(studies, name):
    parity, corrected = ours(studies[name]), ours(studies[name], mode="corrected")
    assert corrected.loss_value == pytest.approx(parity.loss_value, rel=1e-9)


@pytest.mark.parametrize("name", RESAMPLES)
def test_no_resample_is_worse_than_the_witness(studies, name):
    study, counts, known = studies[name], RESAMPLES[name], FOUND["resamples"][name]
    weights = resample_weights(len(study.y), len(counts))
    assert (known["points"], known["starts"]) == (study.digest_with(weights), counts), "run perf/witness.py again"
    losses = ours(study, bootstraps=len(counts)).resampled_loss
    assert all(losses <= np.array(known["losses"]) * ALLOWED)


def test_the_witness_still_finds_what_is_written_of_a_resample(studies):
    study, known = studies["region_it_group1"], FOUND["resamples"]["region_it_group1"]
    weights, starts = resample_weights(len(study.y), 1)[0], witness.some_starts(study.form, known["starts"][0])
    best = witness.solve(study.form, study.scaled, study.described, weights, starts)
    assert best.loss == pytest.approx(known["losses"][0], rel=1e-6)


@pytest.mark.parametrize("form", SCORE_FORMS)
def test_no_resample_of_a_score_form_is_worse_than_the_witness(studies, form):
    """These forms have no published grid: the witness starts from all points of its own."""
    study, known = studies[SCORE_STUDY], FOUND["score_forms"][form]
    weights = resample_weights(len(study.y), SCORE_RESAMPLES)
    assert known["points"] == study.digest_with(weights), "run perf/witness.py again"
    law = ours(study, form=form, bootstraps=SCORE_RESAMPLES)
    assert all(np.array([law.loss_value, *law.resampled_loss]) <= np.array(known["losses"]) * ALLOWED)


@pytest.mark.parametrize("form", ["broken_power_law", "data_constrained"])
def test_no_resample_of_a_later_form_is_worse_than_the_witness(form):
    """Of planted laws: the witness starts from drawn points of its grid."""
    y, x = noisy(form, 0.004, seed=2), points(form) / unit(form, 10.0)
    law = fit(points(form), y, form=form, x_scale=unit(form, 10.0), bootstraps=2, mode="parity")
    weights = np.concatenate([np.ones((1, len(y)), dtype=int), resample_weights(len(y), 2)])
    for row, loss in zip(weights, [law.loss_value, *law.resampled_loss], strict=True):
        assert loss <= witness.solve(form, x, 1 - y, row, witness.some_starts(form, 4)).loss * ALLOWED
    theirs = witness.objective(form, x, 1 - y)(witness_theta(law.params))
    assert theirs == pytest.approx(law.loss_value, rel=1e-7)


def witness_theta(params):
    """The witness's parameters of a law: logarithms of all but the exponents."""
    return np.array([value if name[0] in "abc" else np.log(value) for name, value in params.items()])
