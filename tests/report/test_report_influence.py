"""The report tells what each law stands on: a line, a table of groups, a forest plot."""

from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.influence_record import GroupInfluence, Influence, PointInfluence, Quantity
from neuroscaling.report.law_influence import (
    MOST_OF_COLUMN,
    draw_forest,
    drawn_of,
    forest_drawing,
    influence_rows,
    point_words,
    shown_groups,
)
from tests.support.finished_fits import finished

WHOLE = {"asymptote": Quantity(value=0.5, low=0.45, high=0.6), "alpha": Quantity(value=0.2, low=0.1, high=0.3)}


def group(number, value, asymptote, column="arch_family", changes=()):
    quantities = {
        "asymptote": Quantity(value=asymptote, low=asymptote - 0.05, high=asymptote + 0.05),
        "alpha": Quantity(value=0.2, low=float("nan"), high=float("nan"), doubt="its interval spans decades; x"),
    }
    return GroupInfluence(
        number=number, column=column, value=value, also=[("arch", "b")] if not number else [], n=20 - number,
        share=0.2, quantities=quantities, changes=list(changes),
    )  # fmt: skip


def record(groups, **changes):
    facts = {
        "name": "neural", "fit": "neural", "mode": "corrected", "status": "judged", "bootstraps": 100,
        "judged": ["asymptote"], "whole": WHOLE, "groups": groups, "stands": False, "verdict": "no",
    }  # fmt: skip
    return Influence(**facts | changes)


def law(name="neural", mode="corrected"):
    params = {"E": 0.5, "A": 1.0, "alpha": 0.2}
    flags = {key: {"identified": True} for key in params}
    ci95 = {key: [value, value] for key, value in params.items()}
    made = {"status": "fitted", "name": name, "mode": mode, "params": params, "identified": flags, "ci95": ci95}
    return finished(made)


GROUPS = [
    group(0, "ResNet", 0.52),
    group(1, "ViT", 5.0, changes=["the asymptote is not bounded"]),
    GroupInfluence(
        number=2, column="seed", value=1, n=2, share=0.9, reason="too few", changes=["no law can be fitted"]
    ),
]


def test_rows_begin_with_the_groups_that_carry_the_law():
    rows = influence_rows(record(GROUPS))
    assert [row["group"] for row in rows] == ["arch family: ViT", "seed: seed 1", "arch family: ResNet"]
    assert rows[2]["also"] == "arch b" and rows[1]["quantities"] == []
    assert rows[2]["quantities"][0] == "asymptote 0.52 (0.47 to 0.57)"
    assert rows[2]["quantities"][1].endswith("not identified: its interval spans decades")


def test_a_plot_has_a_panel_a_quantity_and_a_row_a_group():
    figure = draw_forest(record(GROUPS), GROUPS)
    assert [ax.get_title() for ax in figure.axes] == ["asymptote", "alpha (not identified)"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["ResNet (n = 20)", "ViT (n = 19)", "seed 1 (n = 2)"]
    low, high = figure.axes[0].get_xlim()
    assert low < 0.45 and 0.6 < high < 1.0  # a group that runs away does not press the others together
    assert "no law" in [text.get_text() for text in figure.axes[0].texts]


def test_of_many_groups_of_a_column_the_plot_shows_those_that_move_the_law_most():
    many = [group(i, f"net{i}", 0.5 + 0.001 * i, column="arch") for i in range(MOST_OF_COLUMN + 3)]
    shown = shown_groups(record(many))
    assert [one.value for one in shown] == [f"net{i}" for i in range(3, MOST_OF_COLUMN + 3)]
    assert "3 more groups" in forest_drawing(law(), record(many)).caption


def test_the_law_that_does_not_stand_is_drawn_the_corrected_one_first():
    fits: list[FitRecord] = [law("a"), law("b", "parity"), law("c")]
    known = {name: record(GROUPS, name=name, stands=name == "a") for name in "abc"}
    found = drawn_of(fits, known)
    assert found is not None and found[0].name == "c"
    assert drawn_of(fits, {"a": record([], name="a")}) is None


def test_points_are_named_in_a_sentence():
    point = PointInfluence(label="run7", x=[1.0], y=0.3, quantities={"asymptote": 0.51}, weight=0.123)
    words = point_words(record(GROUPS, points=[point], points_refitted=20))
    assert words.startswith("Of 20 single points left out one by one, run7 moves the law most, by 0.12 halves")
    assert point_words(record(GROUPS)) == ""


def test_the_page_holds_line_table_and_plot(tmp_path):
    from neuroscaling.core.score_table import COLUMNS
    from neuroscaling.report.page import build_report
    from tests.laws.test_fit_job import score_table
    from tests.report.test_report import DOT

    table = score_table().reindex(columns=list(dict.fromkeys([*score_table().columns, *COLUMNS])))
    table["simulated"] = True
    build_report(
        tmp_path / "index.html", table, [law()], {"name": "s", "title": ""}, [], DOT, [],
        influences={"neural": record(GROUPS, verdict="a verdict of its own")},
    )  # fmt: skip
    page = (tmp_path / "index.html").read_text()
    assert "a verdict of its own" in page and "arch family: ViT" in page
    assert (tmp_path / "stands-on-neural.svg").is_file()
