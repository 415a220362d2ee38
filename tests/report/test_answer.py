"""The top of the report: what each law says in words, by rules from the records. All numbers here are made up."""

import re

import numpy as np
import pytest

from neuroscaling.laws.number_words import bounded, number, tells, with_interval
from neuroscaling.report import answer, answer_section
from neuroscaling.report.answer import ALIKE, answer_of, answer_values, findings
from neuroscaling.report.law_figures import panel_of
from neuroscaling.report.page_content import group_title, law_row
from neuroscaling.report.sparkline import MOST_POINTS, sparkline
from tests.report.test_report import simulated_study
from tests.report.test_report_influence import GROUPS, record
from tests.support.finished_fits import finished

X = np.geomspace(10, 1e5, 60)
CURVE = {"x": X[::3].tolist(), "fit": (0.5 - X[::3] ** -0.2 / 2).tolist()}
BAND = {"p2.5": (0.48 - X[::3] ** -0.2 / 2).tolist(), "p97.5": (0.52 - X[::3] ** -0.2 / 2).tolist()}


def law(**changes):
    """A power law of IT with an asymptote of 0.5, as far as `changes` leave it so."""
    params = {"E": 0.5, "A": 1.0, "alpha": 0.2} | changes.pop("params", {})
    sure = {key: {"identified": True} for key in params}
    return finished(
        {
            "status": "fitted", "name": "compute.IT", "fit": "compute", "filters": {"region": "IT"}, "params": params,
            "identified": sure | {key: {"identified": False, "reasons": ["r"]} for key in changes.pop("lost", ())},
            "ci95": {key: [value * 0.9, value * 1.1] for key, value in params.items()},
            "saturation": 0.5, "saturation_ci95": [0.45, 0.55], "curve": CURVE | BAND,
            "points": {"x": X.tolist(), "y": (0.5 - X**-0.2 / 2).tolist()},
        }
        | changes
    )  # fmt: skip


def compared(*rows):
    return [{"form": form, "aicc": delta, "delta_aicc": delta} for form, delta in rows]


SATURATING = compared(("power_law", 0.0), ("logistic", 1.0), ("log_linear", 12.0))
UNTESTED = finished({"status": "not testable", "reason": "only 3 points\n  next: more", "name": "a", "fit": "a"})


@pytest.mark.parametrize(
    ("fit", "kind", "asymptote", "exponent", "verdict"),
    [
        (law(compared=SATURATING), answer.SATURATES, "0.5 (0.45 to 0.55)", "0.2 (0.18 to 0.22)", "Levels off at 0.5."),
        (law(compared=compared(("log_linear", 0.0), ("power_law", 1.9))), answer.UNDECIDED, "0.5 (0.45 to 0.55)",
         "0.2 (0.18 to 0.22)",
         "Undecided: levels off at 0.5 in this form, but log-linear, which has no end, fits as well."),
        (law(saturation=None, saturation_statement="no saturation within the data"), answer.GROWS_ON,
         "no saturation within the data", "0.2 (0.18 to 0.22)", "Grows up to the largest x; no end within the data."),
        (law(lost=["E", "alpha"], params={"alpha": 1e159}), answer.UNCLEAR, "not identified", "not identified",
         "Grows; where it ends is not identified."),
        (law(notes=["growth is not established", "only 6 points: intervals and exponents say little"]), answer.FLAT,
         "0.5 (0.45 to 0.55)", "0.2 (0.18 to 0.22)", "Growth is not established. Only 60 points."),
        (law(form="log_linear", expression="a + b", params={"a": 0.1, "b": 0.03}, invert_y=False, saturation=None),
         answer.LINE, "none in this form", "0.03 (0.027 to 0.033) a decade",
         "Grows along a straight line in log x; this form has no end."),
        (law(invert_y=False, saturation=1.7, saturation_ci95=[1.6, 1.8]), answer.SATURATES, "1.7 (1.6 to 1.8)",
         "0.2 (0.18 to 0.22)", "Levels off at 1.7."),
        (UNTESTED, answer.UNTESTABLE, "–", "–", "Can't be tested: only 3 points."),
    ],
)  # fmt: skip
def test_a_law_answers_in_words(fit, kind, asymptote, exponent, verdict):
    found = answer_of(fit)
    assert (found.kind, found.asymptote, found.exponent, found.verdict) == (kind, asymptote, exponent, verdict)


def test_the_preferred_form_is_the_best_by_aicc_and_those_alike():
    shown = answer_of(law(compared=SATURATING))
    assert (shown.form, shown.remark) == ("power law or logistic", "alike by AICc") and ALIKE > 1.0
    other = answer_of(law(compared=compared(("logistic", 0.0), ("power_law", 8.4))))
    assert (other.form, other.remark) == ("logistic", "shown: power law, AICc 8.4 higher")
    assert other.verdict == "Levels off at 0.5, by a form that fits less well than another."
    tested = [{"form": form, "holdout": {"mae": mae}} for form, mae in (("power_law", 0.2), ("logistic", 0.1))]
    assert answer_of(law(compared=tested)).form == "logistic"
    assert answer_of(law()).remark == "the only form fitted"


def test_what_carries_a_law_is_named():
    found = answer_of(law(), record(GROUPS))
    assert found.carried == "ViT, seed 1" and found.verdict == "Levels off at 0.5. Rests on each of 2 groups."
    assert answer_of(law(), record(GROUPS[:2])).verdict == "Levels off at 0.5. Rests on ViT."
    many = [GROUPS[1].model_copy(update={"number": n, "value": f"f{n}"}) for n in range(5)]
    found = answer_of(law(), record(many))
    assert found.carried == "f0, f1, f2 and 2 more" and found.verdict.endswith("Rests on each of 5 groups.")
    stands = answer_of(law(), record(GROUPS[:1], stands=True))
    assert stands.carried == "no single group" and stands.verdict.endswith("Stands without any one group.")
    assert answer_of(law(), record([], stands=None)).carried == "can't be said"
    assert answer_of(law(), record([], status="not asked", stands=None)).carried == "not asked"


def test_a_study_answers_in_two_sentences():
    main = [
        answer_of(law(compared=SATURATING)),
        answer_of(
            law(saturation=None, saturation_statement="no saturation within the data", name="compute.V4"),
            record(GROUPS),
        ),
    ]
    first, second = findings([("Nothing", [answer_of(UNTESTED)]), ("Score against compute", main)])
    assert first == (
        "Score against compute: the score levels off in IT (0.5); the score grows up to the largest x, without an end "
        "in the data, in V4."
    )
    assert second == (
        "Of 3 laws, 1 levels off, 1 shows no end within the data, 1 can't be tested with these data. 1 of 1 rests on "
        "one group of points or more."
    )
    assert findings([("Nothing", [answer_of(UNTESTED)])]) == []


def test_no_number_that_tells_nothing_is_written():
    assert with_interval(1e159, (0.1, 1e200)) == "beyond what a number tells"
    assert with_interval(0.3, (1e-40, 1e200)) == "0.3 (about 0 to above 1000)"
    assert with_interval(0.3, (float("nan"), 1.0)) == "0.3" and with_interval(None, None) == "–"
    assert (bounded(-1e30), bounded(0.0), number(1.5e13)) == ("below -1000", "0", "1.50e13")
    assert tells(0.0) and not tells(1e-40) and not tells(float("inf"))
    wild = law(params={"A": 3.1e159, "alpha": 25.7}, lost=["A", "alpha"])
    texts = {row["name"]: row["text"] for row in law_row(wild)["params"]}
    assert (
        texts["A"] == "" and texts["alpha"].startswith("25.7") and "e159" not in str(answer_values(answer_of(wild), ""))
    )


def test_titles_are_the_studys_or_made_of_words():
    family = law(filters={"region": "V4", "arch_family": "ResNet"}, name="compute.V4.ResNet")
    assert group_title([family], "n_samples") == "Score of V4 against training images, ResNet"
    assert group_title([law(), family], "total_flops") == "Score against training compute (FLOPs)"
    words = {"compute": {"title": "Compute", "caption": "Few.", "by": ["arch_family"]}}
    said = family.worded(words)
    assert group_title([said], "n_samples") == "Compute" and said.caption == "Few."
    assert panel_of(said).title == "ResNet" and panel_of(family).title == "V4, ResNet"
    dotted = law(filters={"benchmark": "FreemanZiemba2013public.V1-pls"}, name="compute.FreemanZiemba2013public.V1-pls")
    said = dotted.worded({"compute": {"title": "", "caption": "", "by": ["benchmark"]}})
    assert panel_of(said).title == "FreemanZiemba2013public.V1-pls"
    assert panel_of(law(name="compute", filters={"region": ["V1", "IT"]})).title == "V1 and IT"


def test_the_small_curve_has_points_a_line_and_a_band():
    picture = sparkline(panel_of(law()), 'a "curve" <b>')
    assert picture.count("<path") == 3 and 'class="band"' in picture and "&#34;curve&#34; &lt;b&gt;" in picture
    assert re.search(r'class="dots" d="([^"]*)"', picture)[1].count("M") == MOST_POINTS
    numbers = [float(value) for value in re.findall(r"[ML](\d+\.\d) ", picture)]
    assert min(numbers) >= 0 and max(numbers) <= 120
    assert sparkline(panel_of(UNTESTED), "nothing").count("<path") == 0


def test_a_study_without_laws_shows_the_best_networks_of_each_region():
    table, _ = simulated_study()
    best = answer_section.best_networks(table)
    assert [row["region"] for row in best] == ["V1", "IT"] and best[1]["networks"] == 42
    means = table[table["region"] == "IT"].set_index("run")["score"]
    assert best[1]["best"][0]["run"] == means.idxmax() and len(best[1]["best"]) == 3
    assert answer_section.answer_section({}, {}, table)["best"] == best
    losses = answer_section.best_networks(table.assign(scale="loss"))
    assert losses[1]["best"][0]["run"] == means.idxmin()
