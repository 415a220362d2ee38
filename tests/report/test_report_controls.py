"""The figure of networks beside their controls, of a made-up study: curves, recordings and forms."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.core.score_table import read_table
from neuroscaling.laws.finished_law import read_fits
from neuroscaling.report import encoding_controls, encoding_data
from neuroscaling.report.figure import Drawing, LeftOut, drawing_settings
from tests.support import made_up_encoding as made_up

CONTROL = "resnet_w8-10"


@pytest.fixture(scope="module")
def encoding(tmp_path_factory):
    """The made-up study, in which a small network counts as untrained, with a law of all vertices."""
    law = {**made_up.fits(subjects=False)[0], "by": {"region": [ALL_VERTICES]}}
    scores, table, fits, accuracy = made_up.write_study(tmp_path_factory.mktemp("study"), [law])
    (found,) = encoding_data.read_encodings(scores, read_table(table), pd.read_parquet(accuracy), read_fits(fits))
    kind = found.rows["kind"].mask(found.rows["run"] == CONTROL, "untrained")
    return replace(found, rows=found.rows.assign(kind=kind))


@pytest.fixture(scope="module")
def drawing(encoding):
    (found,) = encoding_controls.control_figures(encoding)
    assert isinstance(found, Drawing)
    return found


@pytest.fixture(scope="module")
def axes(drawing):
    with drawing_settings("test"):
        return drawing.draw().axes


def test_each_network_has_a_line_in_the_colour_of_its_kind(encoding, axes):
    lines = axes[0].get_lines()
    assert len(lines) == len(encoding.runs)
    of_control = encoding.rows[(encoding.rows["run"] == CONTROL) & (encoding.rows["region"] == ALL_VERTICES)]
    mean = of_control.groupby("n_mapping")["raw"].mean()
    (dashed,) = [line for line in lines if line.get_color() == encoding_controls.KINDS["untrained"][1]]
    assert np.allclose(dashed.get_xdata(), mean.index) and np.allclose(dashed.get_ydata(), mean)


def test_the_best_network_of_each_kind_has_a_band(encoding, axes):
    kinds = encoding.rows["kind"].unique()
    assert len(axes[0].collections) == len(kinds) < len(encoding.runs)


def test_laws_of_another_metric_or_test_set_are_not_among_those_drawn(tmp_path):
    scores, table, fits, accuracy = made_up.write_study(tmp_path, made_up.fits(subjects=False)[:1])
    law = next(iter(read_fits(fits).values()))
    others = {
        name: law.model_copy(update={"name": name, "filters": {**law.filters, column: name}})
        for name, column in (("pls", "metric"), ("nsd_synthetic", "test_set"))
    }
    told = {law.name: law, **others}
    (found,) = encoding_data.read_encodings(scores, read_table(table), pd.read_parquet(accuracy), told)
    assert list(found.fits.values()) == [law]


def test_each_recording_has_a_point_a_network_inside_its_interval(encoding, axes):
    points = [tuple(point) for marks in axes[1].collections for point in marks.get_offsets()]
    assert len(points) == len(encoding.runs) * len(made_up.SUBJECTS)
    rows = encoding.rows[(encoding.rows["region"] == ALL_VERTICES) & (encoding.rows["n_mapping"] == made_up.SIZES[-1])]
    assert sorted(y for _, y in points) == pytest.approx(sorted(rows["raw"]))
    intervals = [line.get_ydata() for line in axes[1].get_lines()]
    assert len(intervals) == len(points) and all(low < high < low + 0.15 for low, high in intervals)


def test_forms_are_compared_by_their_error_on_what_was_held_out(drawing, axes):
    assert len(drawing.fits) == 1 and len(axes) == 3
    assert [text.get_text() for text in axes[2].get_xticklabels()] == ["log\nlinear", "sqrt\nsaturating", "logistic"]
    errors = {
        round(float(marks.get_offsets()[0][0])): float(marks.get_offsets()[0][1]) for marks in axes[2].collections
    }
    assert errors[1] < errors[0], "the data follow a square-root law"


def test_words_say_what_is_drawn(drawing):
    assert "7 networks" in drawing.caption and "3 subjects" in drawing.caption
    assert "which its fit left out" in drawing.caption and "hierarchical bootstrap" in drawing.caption


def test_a_study_without_controls_has_no_such_figure(encoding):
    alone = replace(encoding, rows=encoding.rows[encoding.rows["run"] != CONTROL])
    (found,) = encoding_controls.control_figures(alone)
    assert isinstance(found, LeftOut) and "beside untrained networks" in found.reason
