"""The job of encoding fits a run's layers to every vertex of its subjects, and writes score files.

<run>.json                      rows by region and number of mapping images (docs/formats.md)
<run>.targets.parquet           a row a vertex and number of mapping images
<run>.accuracy.parquet          accuracy by region and hemisphere, with bootstrap draws of the evaluated images
<run>.{lh,rh}_pred_test.npy     predictions of the final model for the test images, where a submission is asked for
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.activations.layer_encoding import Encoded, Task, candidates_of, encode
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.core.encoding_scores import ALL_VERTICES, TARGETS, Origin, ScoreHeader, write_parquet, write_scores
from neuroscaling.core.errors import DataError, Problem, StudyError, listing, nearest
from neuroscaling.core.hashing import content_hash, file_sha256
from neuroscaling.core.score_files import file_beside, making_score, stored_name
from neuroscaling.encoding.accuracy_files import ACCURACY
from neuroscaling.encoding.predictions import prediction_kind, write_predictions
from neuroscaling.encoding.settings import EncodingSettings, all_rows, sample_rows
from neuroscaling.encoding.subject_scores import Evaluated, accuracy_table, region_rows, target_table
from neuroscaling.recordings.algonauts_recording import read_recording
from neuroscaling.recordings.prepared import open_recording, read_manifest
from neuroscaling.recordings.recording import Recording
from neuroscaling.regression.scores import prediction_correlation
from neuroscaling.simulate.record import brain_of, check_simulated
from neuroscaling.study.jobs import ScoreJob
from neuroscaling.study.recording_folders import COARSE_REGIONS, FMRI_REGIONS
from neuroscaling.study.recordings import LocatedSubject
from neuroscaling.study.sections.whole_study import AlgonautsEncoding, NsdEncoding

log = logging.getLogger(__name__)
# Parts of areas (V1v, FFA-1) are reported where they are asked for.
PARTS = FMRI_REGIONS.keys() - COARSE_REGIONS.keys()


def score_subject(
    activations: str | Path,
    recording: Recording,
    output: str | Path,
    header: ScoreHeader,
    settings: EncodingSettings,
    regions: Sequence[str] | str = "all",
    origin: Origin | None = None,
) -> None:
    """Fit, evaluate and write the files of `output` (the JSON file, written last).

    activations: manifest of the run's activations to the subject's images. origin: what the name is a hash of, and
    checksums of the recordings. Raises DataError for images without activations, unknown regions, withheld responses,
    and sizes that the subject can't give.
    """
    activations, output = Path(activations), Path(output)
    start = time.perf_counter()
    chosen = _regions(recording, regions)
    _report_masked(recording)
    stored = open_store(activations)
    tasks, final = _tasks(recording, settings)
    ids = [*recording.training.stimulus_ids, *recording.test.stimulus_ids]
    only_products = not all(stored.keeps(layer, "features") for layer in stored.layers)
    ridge = settings.ridge_settings(only_products)
    candidates = candidates_of(stored, ids, ridge.memory_mb)
    targets = _targets(recording)
    found = encode(candidates, [*tasks, *final], targets, recording.n_targets, ridge)
    kinds = [ACCURACY]
    if settings.final:
        last = found.pop()[0] if final else found[0][-1]
        kinds += write_predictions(output, recording, last.predictions)
    names = [candidate.name for candidate in candidates]
    evaluated = _evaluate(recording, settings, tasks[0].evaluate, found)
    accuracy = accuracy_table(recording, evaluated, chosen, settings.draws)
    write_parquet(file_beside(output, ACCURACY), accuracy)
    rows = region_rows(recording, evaluated, accuracy, chosen, names)
    details = {
        "masked_vertices": recording.masked,
        "candidates": names,
        "settings": settings.plain(),
        "ridge": asdict(ridge),
        "evaluated": {"split": settings.evaluate, "images": len(evaluated.rows)},
    }
    table = target_table(recording, evaluated, names)
    origin = origin or Origin({}, {})
    read = {stored_name(activations): stored.manifest.checksum, **origin.made_from}
    seconds = time.perf_counter() - start
    write_scores(output, header, rows, table, details, seconds, replace(origin, made_from=read), kinds)


def _tasks(recording: Recording, settings: EncodingSettings) -> tuple[list[Task], list[Task]]:
    """What accuracy is reported of, and the final model where none of those is fitted on all training images."""
    ids, n_test = recording.training.stimulus_ids, len(recording.test.stimulus_ids)
    if settings.evaluate == "test" and recording.test.responses is None:
        fix = "evaluate on training images that are held out (`evaluate: validation`), or rebuild them from NSD"
        raise DataError(Problem(what="the responses to the test images are withheld", where=recording.name, fix=fix))
    sampling, test = sample_rows(ids, settings, recording.name), len(ids) + np.arange(n_test)
    evaluate = test if settings.evaluate == "test" else sampling.held_out
    is_whole = settings.evaluate == "test" and len(sampling.draws[0].orders[-1]) == len(ids)
    final = [Task(all_rows(ids, settings), test)] if settings.final and not is_whole else []
    return [Task(draw, evaluate) for draw in sampling.draws], final


def _targets(recording: Recording) -> Any:
    """Responses to all rows, those to the test images left out: no fit may see them."""
    responses, n_test = recording.training.known_responses, len(recording.test.stimulus_ids)

    def read(start: int, stop: int) -> np.ndarray:
        withheld = np.full((n_test, stop - start), np.nan, np.float32)
        return np.concatenate([responses.read(start, stop), withheld])

    return read


def _evaluate(
    recording: Recording, settings: EncodingSettings, rows: np.ndarray, found: list[list[Encoded]]
) -> Evaluated:
    if settings.evaluate == "test":
        rows, split, ceiling = np.arange(len(recording.test.stimulus_ids)), recording.test, recording.test.ceiling
    else:
        split, ceiling = recording.training, recording.ceiling_of(recording.training, rows)
    n = recording.n_targets
    step = max(1, int(5e8 // (8 * len(split.stimulus_ids))))
    responses = np.hstack([split.known_responses.read(i, min(i + step, n))[rows] for i in range(0, n, step)])
    correlations = [[_correlation(one.predictions, responses) for one in draw] for draw in found]
    return Evaluated(rows, responses, ceiling, found, correlations)


def _correlation(predictions: np.ndarray, responses: np.ndarray, block: int = 4096) -> np.ndarray:
    """Pearson correlation (V,), in blocks of targets."""
    starts = range(0, responses.shape[1], block)
    parts = [(predictions[:, i : i + block], responses[:, i : i + block]) for i in starts]
    return np.concatenate([prediction_correlation(a.astype(np.float64), b.astype(np.float64)) for a, b in parts])


def _regions(recording: Recording, regions: Sequence[str] | str) -> list[str]:
    """Regions to report: those that the subject has, or those asked for (the subject may lack some of them)."""
    if regions == "all":
        return [name for name, mask in recording.regions.items() if mask.any() and name not in PARTS]
    unknown = [name for name in regions if name not in recording.regions and name != ALL_VERTICES]
    if unknown:
        known = list(recording.regions)
        raise DataError(
            [
                Problem(
                    what="unknown region",
                    where=recording.name,
                    value=name,
                    allowed=listing(known),
                    nearest=nearest(name, known),
                )
                for name in unknown
            ]
        )
    return list(regions)


def _report_masked(recording: Recording) -> None:
    for hemisphere, vertices in recording.masked.items():
        if vertices:
            log.warning(
                "%s %s: %d vertices are NaN or don't vary and are left out: %s",
                recording.name, hemisphere, len(vertices), vertices[:20],
            )  # fmt: skip


KINDS = (TARGETS, ACCURACY, *map(prediction_kind, ("lh", "rh", "both")))


def score_encodings(
    outputs: Sequence[ScoreJob],
    entry: AlgonautsEncoding | NsdEncoding,
    located: Mapping[str, LocatedSubject],
    protocol: str,
) -> None:
    """Make the score files that are not there.

    entry: what the study asks of the source; located: where the recordings of each benchmark (`<source>-<subject>`)
    lie. Raises DataError as `score_subject`.
    """
    settings = EncodingSettings.of(entry, protocol)
    absent = [out for out in outputs if not out.path.exists()]
    for benchmark in dict.fromkeys(out.benchmark for out in absent):
        place, recording, files = located[benchmark], None, {}
        for out in (out for out in absent if out.benchmark == benchmark):
            with making_score(out.path, f"score of {out.run} on {benchmark}", KINDS) as lease:
                if lease is None:
                    continue
                if recording is None:
                    recording, files = open_subject(place), recorded_files(place, out.data)
                simulated = out.data.startswith("simulated-") or recording.simulated
                header = ScoreHeader(out.run, out.data, simulated, entry.source, ("ridge",), protocol)
                origin = Origin(out.definition, files, lease)
                score_subject(out.activations, recording, out.path, header, settings, entry.regions, origin)


OPENERS: dict[str, Callable[[Path, str], Recording]] = {
    "tree": read_recording,
    "recording": lambda folder, _: open_recording(folder),
}
"""What reads the recordings of a subject, from the folder and the subject's name, by the kind of the folder: a tree in
the Algonauts layout, or a folder prepared from NSD."""


def open_subject(place: LocatedSubject) -> Recording:
    """The recordings of a subject. Raises DataError for what the folder lacks, StudyError for an unknown kind."""
    if place.kind not in OPENERS:
        what, near = "no reader of such a folder of recordings", nearest(place.kind, OPENERS)
        where, allowed = str(place.folder), listing(list(OPENERS))
        raise StudyError(Problem(what=what, where=where, value=place.kind, allowed=allowed, nearest=near))
    return OPENERS[place.kind](place.folder, place.subject)


def recorded_files(place: LocatedSubject, data: str) -> dict[str, str]:
    """What tells a subject's recordings apart: the manifest's checksum, or of a tree one of all its arrays.

    Raises DataError for arrays of a simulated brain that are not what its record says.
    """
    name, folder = f"{data}/{place.subject}", place.folder
    if place.kind == "recording":
        return {name: read_manifest(folder).checksum}
    own = folder / place.subject
    files = sorted(own.rglob("*.npy"))
    if brain := brain_of(folder):
        check_simulated(brain, [path.absolute() for path in files])
    arrays = {path.relative_to(own).as_posix(): file_sha256(path) for path in files}
    return {name: f"sha256:{content_hash(arrays, 64)}"}
