"""The figures of the published study: what is written, what is drawn, and what is said when a law is missing."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.files import write_json
from neuroscaling.laws.finished_law import fit_record
from neuroscaling.report.figure import compact_svg, drawing_settings, write_figure
from neuroscaling.report.sections import read_section
from neuroscaling.reproductions.gokce2025 import figures_of_study, published_frames
from tests.support.made_up_study import ARCHS, made_up_fits, made_up_tables

NAMES = [
    "fig1_compute_behavior_vs_neuro", "fig2_compute_arch", "fig2_compute_arch_avg", "fig2_params",
    "fig3_sample_scaling", "fig3_sample_eff", "fig4_compute_chinchilla", "fig4_compute_arch", "fig5_regions_compare",
    "fig6_corr_neuro", "fig6_corr_behav", "fig6_corr_bar", "fig7_sup", "fig10_sup_regions", "fig7_ssl", "fig7_simclr",
    "fig13_simclr_regions", "fig7_adv", "fig8_public_vs_private", "fig9_params_pretrained", "fig11_untrained",
    "fig12_unsup_bar", "fig14_cartesian", "fig15_pair", "fig16_compute_accuracy",
]  # fmt: skip
ENTRIES = {entry.name: entry for entry in figures_of_study.FIGURES}
RESAMPLES = pd.DataFrame({"E": 0.4, "A": np.linspace(0.4, 0.6, 101), "alpha": 0.2})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The made-up study as files, with the bootstraps of one law."""
    folder = tmp_path_factory.mktemp("study")
    table, checkpoints, private = made_up_tables()
    table.to_parquet(folder / "scores.parquet")
    checkpoints.to_csv(folder / "checkpoints.csv", index=False)
    private.to_csv(folder / "brainscore.csv", index=False)
    for name, content in made_up_fits().items():
        write_json(folder / "fits" / f"{name}.json", content)
    RESAMPLES.to_parquet(folder / "fits" / "region_v1_group1.bootstraps.parquet")
    return folder


@pytest.fixture(scope="module")
def study(files):
    table = published_frames.model_frame(pd.read_parquet(files / "scores.parquet"))
    tables = (
        published_frames.checkpoint_frame(files / "checkpoints.csv"),
        published_frames.private_frame(files / "brainscore.csv"),
    )
    resamples = {"region_v1_group1": RESAMPLES}
    fits = {name: fit_record(content, resamples.get(name)) for name, content in made_up_fits().items()}
    return published_frames.PublishedData(table, *tables, fits)


@pytest.fixture(scope="module")
def listed(files):
    """The index of all figures, which are drawn for it."""
    path = files / "figures" / "figures.json"
    inputs = [files / name for name in ("scores.parquet", "checkpoints.csv", "brainscore.csv")]
    figures_of_study.write_index(path, *inputs, sorted((files / "fits").glob("*.json")))
    return path


def test_networks_of_one_region_on_two_scales_are_refused(files):
    table = pd.read_parquet(files / "scores.parquet")
    mixed = table.assign(scale=["(r/c)2" if i % 7 else "r2/c" for i in range(len(table))])
    with pytest.raises(DataError, match="one region on more than one scale") as caught:
        published_frames.model_frame(mixed)
    assert "(r/c)2 in" in str(caught.value) and "r2/c in" in str(caught.value)


def drawn(name, study):
    with drawing_settings(name):
        return ENTRIES[name].draw(study)


def lines(ax):
    return [(np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)) for line in ax.get_lines()]


def has_curve(ax, curve):
    return any(y.shape == curve.fit.shape and np.allclose(y, curve.fit) for _, y in lines(ax))


def test_every_figure_is_written_in_both_formats(listed):
    described = json.loads(listed.read_text())["figures"]
    assert [figure["name"] for figure in described] == NAMES
    for figure in described:
        assert figure["files"] == [f"{figure['name']}.svg", f"{figure['name']}.pdf"]
        svg, pdf = (listed.with_name(name) for name in figure["files"])
        assert ET.parse(svg).getroot().tag.endswith("svg") and svg.stat().st_size > 10_000
        assert pdf.read_bytes().startswith(b"%PDF") and pdf.stat().st_size > 5_000
    assert len(list(listed.parent.iterdir())) == 2 * len(NAMES) + 1


def test_index_holds_a_section_of_the_page_with_every_picture(listed):
    section = read_section(listed)
    assert [anchor for anchor, _ in section.links] == ["figures"]
    assert all(f'<section id="{anchor}">' in section.html for anchor, _ in section.links)
    assert section.html.count('<img src="data:image/svg+xml;base64,') == len(NAMES) == section.html.count("<img ")


def test_every_figure_says_what_it_shows_and_what_not(listed):
    for figure in json.loads(listed.read_text())["figures"]:
        for text in (figure["title"], figure["caption"], figure["limits"]):
            assert len(text) > 15 and "{" not in text and "nan" not in text.split()
        assert not figure["fits"] or "band" in figure["caption"].lower()


def test_a_law_that_is_missing_is_named(listed):
    figures = {figure["name"]: figure for figure in json.loads(listed.read_text())["figures"]}
    by_family = figures["fig2_compute_arch_avg"]
    assert "The curve of laws that this study does not fit is left out: model_vit_avg." in by_family["caption"]
    assert "model_vit_avg" not in by_family["fits"] and "model_vit_avg.corrected" in by_family["fits"]
    by_dataset = figures["fig3_sample_scaling"]
    assert "sample_places365_scaling is left out: not testable (too few points found: 2)." in by_dataset["caption"]
    assert "left out" not in figures["fig1_compute_behavior_vs_neuro"]["caption"]


def test_asymptotes_that_are_not_identified_are_named(study):
    limits = ENTRIES["fig1_compute_behavior_vs_neuro"].drawing(study).limits
    assert "do not identify the asymptote E of compute_behavior, compute_behavior.corrected:" in limits


def test_same_input_gives_the_same_files(listed, study, tmp_path):
    for name in ("fig3_sample_eff", "fig14_cartesian"):
        write_figure(tmp_path, ENTRIES[name].drawing(study))
        for ending in ("svg", "pdf"):
            file = f"{name}.{ending}"
            assert (tmp_path / file).read_bytes() == listed.with_name(file).read_bytes()


def test_lean_svg_keeps_every_element_and_its_style():
    mark = '<use x="1.23456" y="-2.00000" style="fill: red; stroke: blue"/>'
    svg = f'<svg><defs><style type="text/css">*{{a: b}}</style></defs>{mark * 12}<path style="fill: none"/></svg>'
    leaner = compact_svg(svg, "p")
    assert leaner.count('<use x="1.23" y="-2.00" class="p-0"/>') == 12 and '<path style="fill: none"/>' in leaner
    assert ".p-0 {fill: red; stroke: blue}" in leaner and leaner.count("<style") == 1
    assert compact_svg(svg.replace(mark * 12, mark * 2), "p").count('style="fill: red; stroke: blue"') == 2


def test_study_without_any_law_still_draws(study, tmp_path):
    bare = published_frames.PublishedData(study.models, study.checkpoints, study.private, {})
    figure = write_figure(tmp_path, ENTRIES["fig5_regions_compare"].drawing(bare))
    told = "20 curves of laws that this study does not fit are left out: region_v1_group1, "
    assert figure["fits"] == [] and told in figure["caption"] and "and 17 more." in figure["caption"]
    asked = [entry for entry in figures_of_study.FIGURES if entry.is_of({})]
    assert 0 < len(asked) < len(figures_of_study.FIGURES) and not any(entry.laws for entry in asked)


def test_both_modes_and_ten_times_the_compute_are_drawn(study):
    (ax,) = drawn("fig1_compute_behavior_vs_neuro", study).axes
    for name in ("compute_neuro", "compute_neuro.corrected", "compute_behavior", "compute_behavior.corrected"):
        assert has_curve(ax, study.fits[name].curve)
    ends = [x.max() for x, _ in lines(ax) if x.min() == pytest.approx(1e15) and len(x) > 2]
    assert len(ends) == 2 and all(9e15 < end <= 1e16 * (1 + 1e-9) for end in ends)


def test_bands_are_of_the_published_level(study):
    for name, half in (("fig2_compute_arch", 0.02), ("fig2_compute_arch_avg", 0.04)):
        ax = drawn(name, study).axes[0]
        law = study.fits["model_resnet_avg"].curve.fit
        tops = [c.get_paths()[0].vertices[:, 1].max() for c in ax.collections if is_band(c)]
        assert max(tops) == pytest.approx(max(law) + half)


def is_band(collection):
    return type(collection).__name__ in ("PolyCollection", "FillBetweenPolyCollection")


def test_points_are_the_models(study):
    (ax,) = drawn("fig2_params", study).axes
    points = sum(len(c.get_offsets()) for c in ax.collections if not is_band(c))
    assert points == 2 * len(ARCHS)  # at full data, on imagenet and ecoset


def test_best_split_is_told_in_both_modes(study):
    caption = ENTRIES["fig4_compute_chinchilla"].drawing(study).caption
    for words in ("As published", "Corrected"):
        assert f"{words}, the best N grows as compute to the power 0.40 (0.30 to 0.50) and the best D" in caption
    assert "(here N by a factor of 2.00)" in caption


def test_gains_without_bootstraps_are_named(study):
    caption = ENTRIES["fig5_regions_compare"].drawing(study).caption
    assert "V1 0.32, V2 0.32" in caption and "hence no interval: V2, V4, IT, Behaviour." in caption
