"""All figures of the published study, in its order, and how they are written."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.parquet import read_frame
from neuroscaling.files import read_json, write_json
from neuroscaling.laws.law import finite
from neuroscaling.report.published import (
    allocation,
    bars,
    compute,
    correlation,
    dynamics,
    frame,
    objectives,
    pairs,
    parameters,
    proxy,
    regions,
    samples,
)
from neuroscaling.report.published.canvas import drawing, save
from neuroscaling.report.published.claims import VERDICT_RULE, claims
from neuroscaling.report.published.entry import Entry, describe
from neuroscaling.table import read_table

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)
FIGURES: list[Entry] = [
    *compute.FIGURES,
    parameters.SIZES,
    *samples.FIGURES,
    *allocation.FIGURES,
    *regions.FIGURES,
    *correlation.FIGURES,
    *dynamics.FIGURES,
    *objectives.SIMCLR,
    objectives.ADVERSARIAL,
    *proxy.FIGURES,
    parameters.PRETRAINED,
    bars.UNTRAINED,
    bars.OBJECTIVES,
    *pairs.FIGURES,
    compute.ACCURACY,
]


def write_figures(
    folder: str | Path,
    score_table: pd.DataFrame,
    checkpoints_csv: str | Path,
    brainscore_csv: str | Path,
    fits: dict[str, dict[str, Any]],
    bootstraps: dict[str, pd.DataFrame] | None = None,
) -> list[dict[str, Any]]:
    """Write every figure to `folder` as <name>.svg and <name>.pdf, and give back their descriptions in order.

    score_table: the study's score table; checkpoints_csv, brainscore_csv: the published tables of these names; fits,
    bootstraps: contents of the fit files and their resamples, by name ("compute_neuro", "compute_neuro.corrected").
    Each description has name, title, caption, limits, files (names in `folder`) and fits (names of the laws drawn); a
    law that is absent or not testable is left out and named in the caption. Raises DataError for absent columns.
    """
    study = frame.Study(
        frame.models(score_table), frame.checkpoints(checkpoints_csv), frame.private(brainscore_csv), fits,
        bootstraps or {},
    )  # fmt: skip
    return [write_figure(Path(folder), entry, study) for entry in FIGURES]


def write_figure(folder: Path, entry: Entry, study: frame.Study) -> dict[str, Any]:
    """Write one figure; see `write_figures`."""
    with drawing(entry.name):
        paths = save(entry.draw(study), folder / entry.name)
    log.info("%s written", entry.name)
    return describe(entry, study, [path.name for path in paths])


def write_index(
    index: str | Path, table: str | Path, checkpoints_csv: str | Path, brainscore_csv: str | Path,
    fit_files: list[str | Path],
) -> None:  # fmt: skip
    """Write the figures beside `index` (JSON), and to it their descriptions (`figures`) and the claims of the study.

    Its keys: figures, claims, and verdict_rule, which says how the claims were judged.

    table: the score table (parquet); fit_files: fit JSON files, each with <name>.bootstraps.parquet beside it. A fit
    without that file has no interval on its bars.
    """

    paths = [Path(path) for path in fit_files]
    fits = {content["name"]: content for content in map(read_json, paths)}
    beside = {path.name.removesuffix(".json"): path.with_suffix(".bootstraps.parquet") for path in paths}
    bootstraps = {name: read_frame(path) for name, path in beside.items() if path.is_file()}
    described = write_figures(Path(index).parent, read_table(table), checkpoints_csv, brainscore_csv, fits, bootstraps)
    judged = claims(fits, bootstraps)
    write_json(index, finite({"figures": described, "claims": judged, "verdict_rule": VERDICT_RULE}))
