"""All figures of the study are made, written and listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.files import write_json
from neuroscaling.core.score_table import read_table
from neuroscaling.laws.finished_law import read_fits
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.law_fit import finite
from neuroscaling.report.figure import write_figure
from neuroscaling.report.sections import Section, render
from neuroscaling.reproductions.gokce2025 import (
    compute_allocation,
    correlations,
    data_and_model_size,
    private_benchmarks,
    published_frames,
    training_compute,
    training_dynamics,
    training_objectives,
    visual_regions,
)
from neuroscaling.reproductions.gokce2025.figure_entry import Entry

if TYPE_CHECKING:
    import pandas as pd


TEMPLATES = Path(__file__).parent / "templates"
FIGURES: list[Entry] = [
    *training_compute.COMPUTE_FIGURES,
    data_and_model_size.OWN_SIZES,
    *data_and_model_size.SAMPLE_FIGURES,
    *compute_allocation.ALLOCATION_FIGURES,
    *visual_regions.REGION_FIGURES,
    *correlations.CORRELATION_FIGURES,
    *training_dynamics.DYNAMICS_FIGURES,
    *training_objectives.SIMCLR,
    training_objectives.ADVERSARIAL,
    *private_benchmarks.PROXY_FIGURES,
    data_and_model_size.PRETRAINED_SIZES,
    training_objectives.UNTRAINED_BARS,
    training_objectives.OBJECTIVE_BARS,
    *correlations.PAIR_FIGURES,
    training_compute.ACCURACY,
]


def write_figures(
    folder: str | Path,
    score_table: pd.DataFrame,
    checkpoints_csv: str | Path,
    brainscore_csv: str | Path,
    fits: Mapping[str, FitRecord],
) -> list[dict[str, Any]]:
    """Write the figures to `folder` as <name>.svg and <name>.pdf, and give back their descriptions in order: but for
    those of which the study fits no law.

    score_table: the study's score table; checkpoints_csv, brainscore_csv: the published tables of these names; fits: by
    name ("compute_neuro", "compute_neuro.corrected"). Each description has name, title, caption, limits, files (names
    in `folder`) and fits (names of the laws drawn); a law that is absent or not testable is left out and named in the
    caption. Raises DataError for absent columns.
    """
    study = published_frames.PublishedData(
        published_frames.model_frame(score_table),
        published_frames.checkpoint_frame(checkpoints_csv),
        published_frames.private_frame(brainscore_csv),
        fits,
    )
    return [write_figure(Path(folder), entry.drawing(study)) for entry in FIGURES if entry.is_of(fits)]


def write_index(
    index: str | Path, table: str | Path, checkpoints_csv: str | Path, brainscore_csv: str | Path,
    fit_files: list[str | Path],
) -> None:  # fmt: skip
    """Write the figures beside `index` (JSON), and to it their descriptions (`figures`).

    Its other keys are those of a section of the page (`report.sections`).

    table: the score table (parquet); fit_files: fit JSON files, each with <name>.bootstraps.parquet beside it. A fit
    without that file has no interval on its bars.
    """
    folder, fits = Path(index).parent, read_fits(fit_files)
    described = write_figures(folder, read_table(table), checkpoints_csv, brainscore_csv, fits)
    content = {"figures": described, "left_out": [entry.title for entry in FIGURES if not entry.is_of(fits)]}
    write_json(index, finite(content | asdict(page_section(content, folder.name))))


def page_section(content: Mapping[str, Any], folder: str) -> Section:
    """The section of the report's page with the figures. content: of the index; folder: its name."""
    html = render("published.html", [TEMPLATES], published={**content, "folder": folder})
    return Section(html, [("figures", "Figures")], "published models")
