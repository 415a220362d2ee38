"""All figures of an encoding study are drawn, written and listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroscaling.core.file_names import readable_name
from neuroscaling.core.files import read_object, write_json
from neuroscaling.core.recording_words import RecordingWords
from neuroscaling.core.score_table import read_table
from neuroscaling.core.table_files import read_parquet_columns
from neuroscaling.laws.finished_law import read_fits
from neuroscaling.laws.law_fit import finite
from neuroscaling.report import (
    encoding_controls,
    encoding_laws,
    encoding_normalised,
    encoding_parameters,
    encoding_preference,
    encoding_samples,
    encoding_surfaces,
)
from neuroscaling.report.encoding_data import INTERVAL_COLUMNS, Encoding, read_encodings
from neuroscaling.report.figure import Drawing, LeftOut, write_figure


def encoding_figures(
    score_files: Sequence[str | Path],
    table: str | Path,
    fits: Sequence[str | Path],
    accuracy: str | Path,
    out: str | Path,
    fsaverage: str | Path | None = None,
    submissions: Sequence[str | Path] = (),
    words: Mapping[str, RecordingWords] | None = None,
) -> None:
    """Write the figures beside `out` as <name>.svg and <name>.pdf, and to `out` (JSON) their descriptions.

    score_files: score files of single subjects, whose accuracies and targets lie beside them; table: the score table
    (parquet); fits: fit JSON files; accuracy: accuracies over subjects (parquet); fsaverage: FreeSurfer's folder of
    that subject, for surfaces in full resolution; submissions: JSON files beside the zips; words: what the
    targets of each source of data are called. Keys of `out`: figures (name, title, caption, limits, files, fits),
    left_out (name, title, reason), units (what the targets are called) and submissions (name, average, runs,
    subjects, simulated, and the official metric where the truth was at hand). Raises DataError for absent files and
    columns.
    """
    import pandas as pd

    intervals = pd.DataFrame(read_parquet_columns(Path(accuracy), INTERVAL_COLUMNS))
    encodings = read_encodings(score_files, read_table(table), intervals, read_fits(fits), words)
    figures, left_out = [], []
    for encoding in encodings:
        ending = f"-{readable_name(encoding.data)}" if len(encodings) > 1 else ""
        for one in all_figures(encoding, fsaverage):
            name = f"{readable_name(one.name)}{ending}"
            if isinstance(one, LeftOut):
                left_out.append({"name": name, "title": one.title, "reason": one.reason})
            else:
                figures.append(write_figure(Path(out).parent, one, name, encoding.simulated))
    averages = [submission_row(Path(path)) for path in submissions]
    units = list(dict.fromkeys(encoding.words.units for encoding in encodings))
    write_json(out, finite({"figures": figures, "left_out": left_out, "units": units, "submissions": averages}))


def submission_row(path: Path) -> dict[str, Any]:
    """One submission in a table: what was averaged, and its scores over all vertices, null where they aren't known."""
    content = read_object(path, "scores", "average", "simulated", "runs", "subjects")
    whole: dict[str, Any] = next((row for row in content["scores"] or [] if row["subject"] == "all"), {})
    row = {"name": path.stem, "average": content["average"], "simulated": content["simulated"]}
    row |= {"runs": len(content["runs"]), "subjects": len(content["subjects"])}
    return row | {measure: whole.get(measure) for measure in ("r", "challenge", "unclipped")}


def all_figures(encoding: Encoding, fsaverage: str | Path | None = None) -> Iterator[Drawing | LeftOut]:
    """Every figure of one source of data, or why it is left out."""
    for figures in (
        encoding_samples.sample_figures,
        encoding_laws.form_figures,
        encoding_controls.control_figures,
        encoding_parameters.parameter_figures,
        encoding_samples.crossed_figures,
        encoding_normalised.normalised_figures,
        encoding_preference.preference_figures,
    ):
        yield from figures(encoding)
    yield from encoding_surfaces.surface_figures(encoding, fsaverage)
