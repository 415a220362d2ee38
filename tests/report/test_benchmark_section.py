"""The report's section of what benchmarks can tell: its words, its figure, and where it is left out."""

from dataclasses import replace

from neuroscaling.laws.benchmark_file import benchmark_file
from neuroscaling.report.benchmark_section import benchmark_section, draw_benchmarks, markdown, resolution_rows
from tests.support.planted_networks import Planted, planted_table


def test_the_section_has_all_tables_and_a_figure(tmp_path):
    content = benchmark_file(planted_table(Planted(networks=12, datasets=("d", "e"), scales=(1, 10, 100, 0))))
    section = benchmark_section(content, tmp_path / "resolution")
    assert {path.name for path in (tmp_path / "resolution").iterdir()} == {
        f"spread-and-decisions.{kind}" for kind in ("svg", "pdf")
    }
    for words in ("SIMULATED", "spread / seeds", "predicted in advance", "chosen here", "data:image/svg+xml"):
        assert words in section.html
    assert section.links == [("resolution", "Benchmarks")]


def test_columns_that_nothing_is_known_of_are_left_out(tmp_path):
    content = benchmark_file(planted_table(Planted(networks=12, seeds=1, scales=(0,))).assign(error=float("nan")))
    assert benchmark_section(content, tmp_path).html.count("<img") == 0
    assert "spread / seeds" not in markdown(resolution_rows(content)) and "spread" in markdown(resolution_rows(content))


def test_benchmarks_of_one_region_are_told_apart_and_no_panel_is_empty():
    once = benchmark_file(planted_table(Planted(networks=12, scales=(0,)))).resolutions
    names = [replace(own, benchmark=f"{own.benchmark}-{turn}") for turn in range(2) for own in once]
    (ratios,) = draw_benchmarks(names).axes
    labels = [text.get_text() for text in ratios.get_yticklabels()]
    assert len(set(labels)) == len(labels) == 2 * len(once)


def test_a_study_of_pretrained_networks_has_no_such_section(tmp_path):
    content = benchmark_file(planted_table(Planted(networks=3)).assign(is_pretrained=True))
    assert benchmark_section(content, tmp_path) is None and not list(tmp_path.iterdir())
