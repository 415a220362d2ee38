"""Each kind of statement is judged by its rule, under other forms and without each group; files are checked."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from neuroscaling.claims.judging import judge, write_claims
from neuroscaling.claims.without_groups import LeftOut, without
from neuroscaling.core.errors import StudyError
from neuroscaling.laws.influence_record import FormWithout, GroupInfluence, Influence, Quantity
from neuroscaling.study.sections.claim_files import Claim, load_claim_file, read_claim_file, unknown_fits
from tests.claims.test_claims import FAST, LINE, SLOW, law, row
from tests.support.finished_fits import finished


def fits(**made):
    return {name: finished({"name": name, **fit}, table) for name, (fit, table) in made.items()}


def one(statement, labels, made, left_out=None, **keys):
    claim = Claim(claim="A claim.", statement=statement, fits={label: label for label in labels}, **keys)
    return judge([claim], fits(**made), left_out)[0]


def identified(made, saturation):
    flags = {name: {"identified": True} for name in ("E", "A", "alpha")}
    return made[0] | {"identified": flags, "saturation": saturation}, made[1]


@pytest.mark.parametrize(("shape", "saturates", "grows"), [(SLOW, True, False), (FAST, False, True)])
def test_one_fit_saturates_or_grows(shape, saturates, grows):
    made = {"IT": law(shape)}
    words = {True: "supported", False: "not supported"}
    assert one({"kind": "pace", "saturates": ["IT"]}, ["IT"], made).verdict == words[saturates]
    assert one({"kind": "pace", "grows": ["IT"]}, ["IT"], made).verdict == words[grows]


def test_a_chain_beside_the_forms_has_a_pace_by_its_curves():
    """A chain has no parameters of one form: this one levels off where the power law goes on."""
    x = np.geomspace(1e14, 1e20, 100)
    fit = np.minimum(np.log10(x / 1e14) / 10, 0.55)
    beyond = {"x": [1e20, 3e21], "fit": [0.55, 0.55]}
    chain = {"form": "logistic, linear of acc", "params": {"first.L": 1.0}, "aicc": -1.0, "beyond": beyond}
    chain |= {"holdout": {"mae": 0.001}, "curve": {"x": x.tolist(), "fit": fit.tolist()}}
    found = one({"kind": "pace", "grows": ["IT"]}, ["IT"], {"IT": law(FAST, others=[chain])})
    assert found.verdict == "depends on the form" and "acc: pace 0.00" in found.depends_on_form


def test_losses_fall():
    """Of a law of y itself the gains are negative: a loss that falls fast lies above none that falls slowly."""
    made = {name: (fit | {"invert_y": False}, table) for name, (fit, table) in
            {"fast": law((0.3, 0.4, 0.15)), "slow": law((0.3, 0.1, 0.15))}.items()}  # fmt: skip
    found = one({"kind": "rises", "order": ["fast", "slow"]}, ["fast", "slow"], made)
    assert found.verdict == "supported" and "fast -0.0" in found.evidence[0].text


def test_slope_of_one_fit_above_that_of_another():
    made = {"V1": law((0.3, 0.1, 0.15)), "IT": law((0.3, 0.4, 0.15))}
    assert one({"kind": "rises", "order": ["V1", "IT"]}, ["V1", "IT"], made).verdict == "supported"
    assert one({"kind": "rises", "order": ["IT", "V1"]}, ["V1", "IT"], made).verdict == "not supported"


def test_asymptote_of_one_fit_above_that_of_another():
    made = {"V1": identified(law((0.6, 0.4, 0.15)), 0.4), "IT": identified(law((0.4, 0.4, 0.15)), 0.6)}
    statement = {"kind": "asymptote", "first": "IT", "second": "V1"}
    found = one(statement, ["V1", "IT"], made)
    assert found.verdict == "supported" and "0.200 (" in found.evidence[0].text
    unsure = made | {"V1": (made["V1"][0] | {"saturation_statement": "no saturation within the data"}, made["V1"][1])}
    found = one(statement, ["V1", "IT"], unsure)
    assert found.verdict == "supported in part" and "Not identified: V1" in found.evidence[0].text
    assert one(statement | {"first": "V1", "second": "IT"}, ["V1", "IT"], made).verdict == "not supported"


@pytest.mark.parametrize(
    ("aicc", "mae", "verdict"),
    [(-10.0, 0.005, "supported"), (-10.0, 0.02, "supported in part"), (-1.0, 0.02, "not supported")],
)
def test_one_form_better_than_another(aicc, mae, verdict):
    made = {"IT": law(SLOW, others=[row("log_linear", LINE, aicc, mae)])}
    statement = {"kind": "better_form", "form": "log_linear", "than": "power_law"}
    assert one(statement, ["IT"], made).verdict == verdict


def left_out(name, params, value="ResNet", reason="", noise=0.002, forms=()):
    """What a fit stands on: one group, without which the law has these parameters."""
    named = dict(zip(("E", "A", "alpha"), params, strict=True))
    whole = {"asymptote": Quantity(value=0.5, low=0.4, high=0.6)}
    group = GroupInfluence(
        number=0, column="arch_family", value=value, n=10, share=0.5, params={} if reason else named,
        quantities={} if reason else whole, reason=reason, forms=list(forms),
    )  # fmt: skip
    record = Influence(name=name, fit=name, mode="corrected", status="judged", whole=whole, groups=[group])
    jitter = 1 + np.random.default_rng(0).normal(0, noise, (50, 3))
    return LeftOut(record, {} if reason else {0: pd.DataFrame(np.array(params) * jitter, columns=list(named))})


def test_a_claim_that_rests_on_a_group_says_so_and_keeps_its_verdict():
    statement, made = {"kind": "pace", "saturates": ["IT"]}, {"IT": law(SLOW)}
    found = one(statement, ["IT"], made, {"IT": left_out("IT", FAST)})
    assert found.verdict == "supported" and found.stands is False
    assert "supported with all points; not supported without ResNet; the same without 0 of 1" in found.rests_on_groups
    found = one(statement, ["IT"], made, {"IT": left_out("IT", SLOW)})
    assert found.stands is True and "supported with all points; the same without 1 of 1 groups" in found.rests_on_groups
    found = one(statement, ["IT"], made, {"IT": left_out("IT", SLOW, reason="too few points")})
    assert found.stands is False and "not testable without ResNet" in found.rests_on_groups


def test_a_claim_that_holds_only_in_part_without_a_group_does_not_rest_on_it():
    statement, made = {"kind": "pace", "saturates": ["IT"], "grows": ["V1"]}, {"IT": law(SLOW), "V1": law(FAST)}
    # Without the group IT levels off less clearly, though later than V1 still.
    found = one(statement, ["IT", "V1"], made, {"IT": left_out("IT", (0.3, 0.6, 0.08))})
    assert (
        found.stands is True
        and "supported in part without 1, a grade apart; the same without 0 of 1" in found.rests_on_groups
    )


def forms_without(params, aicc):
    own = FormWithout(form="power_law", params=dict(zip(("E", "A", "alpha"), params, strict=True)), aicc=0.0,
                      held_out_error=0.01)  # fmt: skip
    return [own, FormWithout(form="log_linear", params=LINE, aicc=aicc, held_out_error=0.02)]


@pytest.mark.parametrize(
    ("whole", "without", "words"),
    [
        (30.0, 1.0, "does not turn this; one does without ResNet"),
        (1.0, 30.0, "turns this; one does not without ResNet"),
    ],
)
def test_a_claim_rests_on_a_group_without_which_it_starts_or_ceases_to_depend_on_the_form(whole, without, words):
    statement = {"kind": "pace", "saturates": ["IT"]}
    made = {"IT": law(SLOW, others=[row("log_linear", LINE, whole, 0.02)])}
    found = one(statement, ["IT"], made, {"IT": left_out("IT", SLOW, forms=forms_without(SLOW, without))})
    assert found.stands is False and words in found.rests_on_groups
    assert "supported with all points; the same without 1 of 1 groups" in found.rests_on_groups
    same = one(statement, ["IT"], made, {"IT": left_out("IT", SLOW, forms=forms_without(SLOW, whole))})
    assert same.stands is True and "the same without 1 of 1 groups." in same.rests_on_groups.split("another form")[1]
    # A record that doesn't have them says nothing of other forms.
    assert "form" not in one(statement, ["IT"], made, {"IT": left_out("IT", SLOW)}).rests_on_groups


def test_a_better_form_is_compared_without_each_group():
    made = {"IT": law(SLOW, others=[row("log_linear", LINE, 30.0, 0.02)])}
    statement = {"kind": "better_form", "form": "power_law", "than": "log_linear"}
    found = one(statement, ["IT"], made, {"IT": left_out("IT", SLOW, forms=forms_without(SLOW, -30.0))})
    assert found.verdict == "supported" and "supported in part without 1, a grade apart" in found.rests_on_groups
    found = one(statement, ["IT"], made, {"IT": left_out("IT", SLOW)})
    assert found.stands is False and "not testable without ResNet" in found.rests_on_groups


def test_a_group_is_left_out_of_every_law_that_has_it():
    from neuroscaling.claims.evidence import Case

    laws = fits(V1=law(SLOW), IT=law(SLOW), V4=law(SLOW))
    known = {"V1": left_out("V1", FAST), "IT": left_out("IT", FAST, value="ViT")}
    found = without(Case("corrected", "", laws), ("arch_family", "ResNet"), known).laws
    assert found["V1"].params["E"] == FAST[0] and found["IT"] is laws["IT"] and found["V4"] is laws["V4"]
    assert found["V1"].line.at(1e16) == pytest.approx(1 - FAST[0] - FAST[1] * 1e3 ** -FAST[2], abs=1e-3)
    low, high = found["V1"].line.interval_at(1e16)
    assert low < found["V1"].line.at(1e16) < high


def test_claims_are_written_as_a_section_of_the_page(tmp_path):
    claim = Claim(claim="IT <saturates>.", statement={"kind": "pace", "saturates": ["IT"]}, fits={"IT": "IT"})
    write_claims(tmp_path / "claims.json", [claim.model_dump(mode="json")], [])
    content = json.loads((tmp_path / "claims.json").read_text())
    assert content["format"] == "claims/1" and content["links"] == [["claims", "Claims"]]
    assert "IT &lt;saturates&gt;." in content["html"] and "not testable" in content["html"]


def faults_of(tmp_path, **changes):
    claim = {"claim": "c", "statement": {"kind": "pace", "saturates": ["IT"]}, "fits": {"IT": "samples"}} | changes
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"claims": [claim]}))
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fits": {"V1": "samples"}}, "no fit is named for `IT`"),
        ({"statement": {"kind": "pace"}}, "name a fit that saturates"),
        ({"statement": {"kind": "pase", "saturates": ["IT"]}}, "pase"),
        ({"controls": [{"lead": "x", "fits": {"V1": "samples"}}]}, "no fit is named for `IT`"),
    ],
)
def test_a_faulty_file_of_claims_is_refused(tmp_path, changes, words):
    with pytest.raises(StudyError, match=words):
        load_claim_file(faults_of(tmp_path, **changes))


def test_a_fit_that_the_study_does_not_have_is_named_with_the_nearest(tmp_path):
    claims, document, _ = read_claim_file(faults_of(tmp_path, fits={"IT": "sample"}))
    (fault,) = unknown_fits(claims, document, ["samples", "params"])
    assert fault.problem.value == "sample" and fault.problem.nearest == "samples"
