"""The figures of voxel-wise encoding: what is written, drawn and said. All scores here are simulated."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.core.errors import DataError
from neuroscaling.core.files import read_json
from neuroscaling.core.recording_words import NEURONS, VERTICES
from neuroscaling.core.score_files import file_beside
from neuroscaling.core.score_table import read_table
from neuroscaling.laws.finished_law import read_fits
from neuroscaling.laws.fit_record import Flag
from neuroscaling.report import (
    encoding_data,
    encoding_figures,
    encoding_laws,
    encoding_normalised,
    encoding_parameters,
    encoding_preference,
    encoding_samples,
    encoding_surfaces,
)
from neuroscaling.report import figure as report_figure
from neuroscaling.report.figure import Drawing, LeftOut, drawing_settings
from neuroscaling.report.page import build_report
from tests.report.test_report import DOT
from tests.support import made_up_encoding as made_up
from tests.support.score_records import reseal, score_path

LARGEST = "eva02_enormous_patch14_clip_224.x-p"
NAMES = [
    "mapping_samples", "mapping_forms", "parameters", "mapping_models", "crossed", "normalised", "preference-1",
    "surface-1",
]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Score files, table, fits and accuracies of the made-up study."""
    return made_up.write_study(tmp_path_factory.mktemp("study"), made_up.fits())


@pytest.fixture(scope="module")
def encoding(files):
    return encoding_of(files)


@pytest.fixture(scope="module")
def bare(encoding):
    """The same without laws, noise ceilings and places on fsaverage, and not called simulated."""
    intervals = encoding.intervals.copy()
    intervals.loc[intervals["measure"].isin(["normalised", "challenge", "unclipped"]), "value"] = np.nan
    vertices = encoding.vertices.assign(fsaverage=-1)
    return replace(encoding, simulated=False, intervals=intervals, vertices=vertices, fits={})


@pytest.fixture(scope="module")
def listed(files, tmp_path_factory):
    """The list of figures, drawn for one network each, and what Figure objects were saved by name."""
    path, saved = tmp_path_factory.mktemp("report") / "encoding" / "figures.json", {}
    save = report_figure.save_figure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding_samples, "MOST_RUNS_ALONE", 1)
        for module in (encoding_preference, encoding_surfaces):
            patch.setattr(module, "MOST_RUNS", 1)
        patch.setattr(
            report_figure, "save_figure", lambda figure, stem: saved.update({stem.name: figure}) or save(figure, stem)
        )
        encoding_figures.encoding_figures(*files, path)
    return path, saved


def encoding_of(files):
    scores, table, fits, accuracy = files
    (found,) = encoding_data.read_encodings(scores, read_table(table), pd.read_parquet(accuracy), read_fits(fits))
    return found


def drawn(figure):
    with drawing_settings("test"):
        return figure.draw()


def lines(ax):
    return [(np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)) for line in ax.get_lines()]


def has_line(ax, x, y):
    return any(len(a) == len(x) and np.allclose(a, x) and np.allclose(b, y) for a, b in lines(ax))


def test_every_figure_is_written_in_both_formats_and_light(listed):
    path, _ = listed
    figures = json.loads(path.read_text())["figures"]
    assert [figure["name"] for figure in figures] == NAMES
    for figure in figures:
        svg, pdf = (path.with_name(name) for name in figure["files"])
        assert ET.parse(svg).getroot().tag.endswith("svg") and 10_000 < svg.stat().st_size < 600_000
        assert pdf.read_bytes().startswith(b"%PDF")


def test_simulated_data_are_called_so_on_the_figure_and_in_its_caption(listed, bare, tmp_path):
    path, saved = listed
    assert {figure.get_suptitle() for figure in saved.values()} == {"SIMULATED DATA"}
    assert all("SIMULATED" in figure["caption"] for figure in json.loads(path.read_text())["figures"])
    described = report_figure.write_figure(
        tmp_path, next(encoding_preference.preference_figures(bare)), "x", bare.simulated
    )
    assert "SIMULATED" not in described["caption"]


def test_every_text_is_filled_in(listed):
    for figure in json.loads(listed[0].read_text())["figures"]:
        for text in (figure["title"], figure["caption"], figure["limits"]):
            assert len(text) > 15 and not re.search(r"[{}]|\bnan\b|None|  ", text), text


def test_networks_without_a_figure_of_their_own_are_named(listed):
    left_out = {entry["name"]: entry["reason"] for entry in json.loads(listed[0].read_text())["left_out"]}
    assert "beside untrained networks" in left_out.pop("controls")
    assert set(left_out) == {"mapping_samples-more", "preference-more", "surface-more"}
    assert all("convnext_base.x" in reason and "enormous" not in reason for reason in left_out.values())


def test_what_the_data_do_not_give_is_left_out_with_the_reason(bare):
    found = {one.name: one.reason for one in encoding_figures.all_figures(bare) if isinstance(one, LeftOut)}
    assert found["normalised"] == "the evaluated responses have no noise ceiling"
    assert found["surface"] == "no unit is on fsaverage"
    assert "single subjects" in found["mapping_forms"]


def test_subjects_their_mean_and_the_slopes_are_drawn(encoding):
    figure = drawn(next(encoding_samples.sample_figures(encoding)))
    top, strip = figure.axes[:2]
    rows = encoding.rows[(encoding.rows["run"] == LARGEST) & (encoding.rows["region"] == "V1")]
    table = rows.pivot(index="n_mapping", columns="unit", values="raw")
    curves = [*(table[unit] for unit in table), table.mean(axis=1)]
    assert len(curves) == 4 and all(has_line(top, curve.index, curve) for curve in curves)
    x, mean = np.array(table.index, float), table.mean(axis=1).to_numpy()
    assert has_line(strip, np.sqrt(x[1:] * x[:-1]), np.diff(mean) / np.diff(np.log10(x)))


def test_laws_are_drawn_with_their_comparison(encoding):
    figure = next(encoding_samples.sample_figures(encoding))
    assert figure.fits == ("mapping.V1", "mapping.hV4")
    top = drawn(figure).axes[0]
    law = encoding.fits["mapping.V1"]
    for row in law.compared:
        assert has_line(top, row.curve.x, row.curve.fit)
    straight = next(row for row in law.compared if row.form == "log_linear")
    error = f"{straight.held_out_error:.3f}"
    # Three subjects are too few units for AICc.
    assert f"log-linear  –, {error}" in [text.get_text() for text in top.texts]
    compared = [row.model_copy(update={"delta_aicc": 2.04 if row is straight else 0.0}) for row in law.compared]
    told = {**encoding.fits, "mapping.V1": law.model_copy(update={"compared": compared})}
    top = drawn(next(encoding_samples.sample_figures(replace(encoding, fits=told)))).axes[0]
    assert f"log-linear  2.0, {error}" in [text.get_text() for text in top.texts]


def test_a_ceiling_that_the_data_do_not_identify_is_flagged(encoding):
    law = encoding.fits["mapping.V1"]
    unsure = law.model_copy(update={"flags": law.flags | {"L": Flag(identified=False, reasons=["made up"])}})
    figure = next(encoding_samples.sample_figures(replace(encoding, fits={**encoding.fits, "mapping.V1": unsure})))
    assert "do not identify the ceiling of V1: read the curve" in figure.limits
    with_flag = [ax for ax in drawn(figure).axes if "ceiling not identified" in [t.get_text() for t in ax.texts]]
    assert [ax.get_title(loc="left") for ax in with_flag] == ["V1"]


def test_the_planted_law_describes_every_subject_best(encoding):
    (figure,) = encoding_laws.form_figures(encoding)
    assert "Best by AICc: log-linear in 0; square root in 6." in figure.caption
    left, right = drawn(figure).axes
    gains = np.concatenate([c.get_offsets()[:, 1] for c in left.collections])
    assert len(gains) == 12 and np.all(gains < 0)
    assert len(np.concatenate([c.get_offsets() for c in right.collections])) == 18


def test_a_series_of_three_sizes_is_called_not_testable(encoding):
    (figure,) = encoding_parameters.parameter_figures(encoding)
    assert "the EVA-02 series, not testable: three sizes that also differ in recipe." in figure.caption
    assert "of 5 trained networks with 1,000 mapping images" in figure.caption
    ax = drawn(figure).axes[0]
    assert "not testable" in " ".join(text.get_text() for text in ax.texts)
    eva = encoding.rows[encoding.rows["arch"].str.startswith("eva02") & (encoding.rows["region"] == "V1")]
    means = eva[eva["n_mapping"] == 1000].groupby("n_params")["raw"].mean()
    assert has_line(ax, means.index, means)


def test_narrow_ranges_of_parameters_have_their_sizes_as_ticks(encoding):
    rows = encoding.rows[encoding.rows["arch"].str.startswith(("eva02_base", "eva02_large"))]
    (figure,) = encoding_parameters.parameter_figures(replace(encoding, rows=rows))
    assert [label.get_text() for label in drawn(figure).axes[0].get_xticklabels()] == ["85.9M", "303M"]


@pytest.mark.parametrize(("n", "words"), [(812, "812"), (90_600, "90.6k"), (85_869_312, "85.9M"), (4.35e9, "4.35B")])
def test_numbers_of_parameters_are_short(n, words):
    assert encoding_parameters._count(n) == words


def test_runs_of_one_architecture_are_told_apart_without_their_hash(encoding):
    rows = encoding.rows.assign(run=encoding.rows["run"] + "-0a1b2c3d")
    names = replace(encoding, rows=rows).names()
    assert names["resnet_w8-10-0a1b2c3d"] == "resnet_w8-10"
    assert names["convnext_base.x-p-0a1b2c3d"] == "convnext_base.x"


def test_a_law_at_another_number_of_mapping_images_is_not_drawn(encoding):
    assert next(encoding_parameters.parameter_figures(encoding)).fits == ("params.V1", "params.hV4")
    other = encoding.fits["params.V1"].model_copy(update={"filters": {"region": "V1", "n_mapping": 500}})
    changed = replace(encoding, fits={"params.V1": other})
    (figure,) = encoding_parameters.parameter_figures(changed)
    assert figure.fits == () and "No law over the networks is drawn." in figure.caption


def test_cells_cross_training_and_mapping_images(encoding):
    rows = encoding.rows[(encoding.rows["arch"] == "resnet_w8") & (encoding.rows["region"] == "V1")]
    table = encoding_samples.crossed_means(rows)
    assert table.index.tolist() == [10, 100, 1000] and table.columns.tolist() == made_up.SIZES
    mine = rows[(rows["n_samples"] == 100) & (rows["n_mapping"] == 50)]
    assert len(mine) == 3 and table.loc[100, 50] == pytest.approx(mine["raw"].mean())


def test_clipped_and_unclipped_accuracy_of_networks_regions_and_subjects(encoding):
    (figure,) = encoding_normalised.normalised_figures(encoding)
    networks, regions, subjects = drawn(figure).axes
    table = encoding.intervals
    mine = table[(table["run"] == LARGEST) & (table["region"] == ALL_VERTICES) & (table["mapping"] == "largest")]
    both = mine[mine["hemisphere"] == "both"].set_index("measure")["value"]
    points = np.concatenate([c.get_offsets() for c in networks.collections])
    for measure in ("challenge", "unclipped"):
        assert np.isclose(points[:, 0], both[measure]).any()
    assert [label.get_text() for label in regions.get_yticklabels()] == ["V1", "hV4", ALL_VERTICES]
    assert [label.get_text() for label in subjects.get_yticklabels()] == made_up.SUBJECTS
    own = encoding.accuracy.query("run == @LARGEST and region == @ALL_VERTICES and hemisphere == 'both'")
    own = own[(own["subject"] == "subj02") & (own["n_mapping"] == 1000)]["challenge"].item()
    points = np.concatenate([c.get_offsets() for c in subjects.collections])
    assert np.isclose(points[:, 0], own).any()


def test_hemispheres_are_told_where_recordings_have_them(encoding):
    def told(one):
        (figure,) = encoding_normalised.normalised_figures(one)
        return figure.caption + " ".join(text.get_text() for text in drawn(figure).findobj(Text))

    assert "Small triangles" in told(encoding) and "left hemisphere" in told(encoding)
    both = encoding.intervals[encoding.intervals["hemisphere"] == "both"]
    assert "hemisphere" not in told(replace(encoding, intervals=both))


def test_averages_of_networks_stand_beside_them(encoding):
    average = encoding.intervals[encoding.intervals["run"] == LARGEST].assign(run="average")
    (figure,) = encoding_normalised.normalised_figures(
        replace(encoding, intervals=pd.concat([encoding.intervals, average]))
    )
    assert "Averages of the networks' predictions: average." in figure.caption
    assert drawn(figure).axes[0].get_yticklabels()[-1].get_text() == "average"


def test_planted_layers_and_grids_are_shown_in_the_order_of_the_hierarchy(encoding):
    mine = encoding.vertices[encoding.vertices["run"] == LARGEST]
    members = encoding_preference.by_region(mine)
    depth = encoding_preference.mean_depth(members)
    for region, (_, planted, grid, _) in made_up.REGIONS.items():
        assert depth.loc[region].to_numpy() == pytest.approx(planted, abs=0.05)
        shares = encoding_preference.shares(members, members["grid"], [region])
        assert shares.loc[region].idxmax() == grid and shares.loc[region].sum() == pytest.approx(1.0)
    figure = next(encoding_preference.preference_figures(encoding))
    assert "V1 to hV4 in 3 of 3" in figure.caption
    left, middle = drawn(figure).axes[:2]
    assert [label.get_text() for label in left.get_yticklabels()] == ["V1", "hV4", ALL_VERTICES]
    assert [label.get_text() for label in middle.get_xticklabels()] == ["1", "4", "8"]
    assert left.images[0].get_array().shape == (3, 6)


def test_a_single_grid_size_has_no_panel(encoding):
    single = replace(encoding, vertices=encoding.vertices.assign(grid=0))
    figures = [next(encoding_preference.preference_figures(one)) for one in (encoding, single)]
    assert [len(drawn(figure).axes) for figure in figures] == [4, 3]  # the bar of colours is one
    assert ["grid size" in figure.caption for figure in figures] == [True, False]


def test_same_input_gives_the_same_files(listed, encoding, tmp_path):
    path, _ = listed
    drawn = (("crossed", encoding_samples.crossed_figures), ("preference-1", encoding_preference.preference_figures))
    for name, figures in drawn:
        figure = next(f for f in figures(encoding) if isinstance(f, Drawing) and f.name == name)
        report_figure.write_figure(tmp_path, figure, name, True)
        for ending in ("svg", "pdf"):
            assert (tmp_path / f"{name}.{ending}").read_bytes() == path.with_name(f"{name}.{ending}").read_bytes()


def test_the_page_shows_figures_and_what_is_left_out(listed, files, tmp_path):
    from neuroscaling.report.sections import encoding_section

    study = {"name": "small", "title": "A simulated study"}
    build_report(tmp_path / "index.html", read_table(files[1]), [], study, [], DOT, [], [encoding_section(listed[0])])
    text = (tmp_path / "index.html").read_text()
    assert 'id="encoding"' in text and text.count('<figure id="') == len(NAMES)
    assert 'href="encoding/parameters.pdf"' in text and "Figures that are left out" in text
    assert set(re.findall(r'src="([^":]*):', text)) == {"data"}


def test_absent_columns_are_all_named(files):
    scores, table, _, accuracy = files
    intervals = pd.read_parquet(accuracy)
    with pytest.raises(DataError, match="score table: column is missing\n    found:    raw"):
        encoding_data.read_encodings(scores, read_table(table).drop(columns="raw"), intervals, [])
    with pytest.raises(DataError) as error:
        encoding_data.read_encodings(scores, read_table(table), intervals.drop(columns=["low", "high"]), [])
    assert [problem.value for problem in error.value.problems] == ["low", "high"]


def test_accuracies_of_several_subjects_in_one_file_are_refused(files, tmp_path):
    scores, table, _, accuracy = files
    content = read_json(scores[0])
    content["rows"][0]["subject"] = "subj09"
    path = score_path(tmp_path, "pooled", content["run"])
    file_beside(path, "accuracy.parquet").write_bytes(file_beside(scores[0], "accuracy.parquet").read_bytes())
    reseal(path, content, {"benchmark": "pooled"})
    with pytest.raises(DataError, match="file of several subjects"):
        encoding_data.read_encodings([path], read_table(table), pd.read_parquet(accuracy), [])


@pytest.mark.parametrize(("words", "others"), [
    (NEURONS, "(?i:vert|voxel|subject|unit|site|monkey)|ROI"),
    (VERTICES, "(?i:neuron|voxel|session|unit|site|monkey)|ROI"),
])  # fmt: skip
def test_words_are_those_of_the_recordings(encoding, words, others):
    of_source = replace(encoding, words=words, vertices=encoding.vertices.assign(fsaverage=-1))
    found, drawn_words = list(encoding_figures.all_figures(of_source)), []
    told = [text for one in found if isinstance(one, Drawing) for text in (one.title, one.caption, one.limits)]
    told += [text for one in found if isinstance(one, LeftOut) for text in (one.title, one.reason)]
    with drawing_settings("test"):
        for one in found:
            if isinstance(one, Drawing) and one.name in ("normalised", "preference-1", "mapping_samples-1"):
                drawn_words += [text.get_text() for text in one.draw().findobj(Text)]
    told += [text for text in drawn_words if not text.startswith("subj0")]
    assert not [text for text in told if re.search(others, text.replace(ALL_VERTICES, "a region"))]
    assert any(words.units in text for text in told) and any(words.groups in text for text in told)
    assert any(f"All {words.units}" in text for text in drawn_words)
