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
from functools import partial
from pathlib import Path

import numpy as np

from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.core.counting import Tally
from neuroscaling.core.encoding_scores import ALL_VERTICES, TARGETS, Origin, ScoreHeader, write_parquet, write_scores
from neuroscaling.core.errors import DataError, Problem, StudyError, listing, nearest
from neuroscaling.core.hangs import patience_of_job
from neuroscaling.core.hashing import content_hash, file_sha256
from neuroscaling.core.logs import Pieces
from neuroscaling.core.score_files import file_beside, making_score, stored_name
from neuroscaling.encoding.accuracy_files import ACCURACY
from neuroscaling.encoding.fits import Evaluation, Fits, Question, TargetFits, Task
from neuroscaling.encoding.layers import Layers
from neuroscaling.encoding.metrics import answers
from neuroscaling.encoding.predictions import prediction_kind, write_predictions
from neuroscaling.encoding.settings import EncodingSettings, all_rows, sample_rows
from neuroscaling.encoding.subject_scores import Evaluated, accuracy_table, score_rows, target_table
from neuroscaling.recordings.algonauts_recording import read_recording
from neuroscaling.recordings.prepared import open_recording, read_manifest
from neuroscaling.recordings.recording import Recording, read_columns
from neuroscaling.recordings.v4_sessions import read_session
from neuroscaling.simulate.record import brain_of, check_simulated
from neuroscaling.study.jobs import ScoreJob
from neuroscaling.study.recording_folders import COARSE_REGIONS, FMRI_REGIONS, v4_session_files
from neuroscaling.study.recordings import LocatedSubject
from neuroscaling.study.sections.encoding import RecordingsEncoding

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
    layers = Layers.of(stored, recording.stimulus_ids, settings.memory_mb)
    question = question_of(recording, layers, settings, chosen)
    found = answers(question, settings.metrics)
    kinds = [ACCURACY]
    if settings.final:
        kinds += write_predictions(output, recording, _final_predictions(found, question))
    of_targets = [one for one in found if isinstance(one, TargetFits)]
    evaluated = [Evaluated(question, one, evaluation) for one in of_targets for evaluation in question.evaluations]
    write_parquet(file_beside(output, ACCURACY), accuracy_table(evaluated))
    details = {
        "source": recording.details,
        "masked_vertices": recording.masked,
        "candidates": layers.names,
        "settings": settings.plain(),
        "ridge": asdict(settings.ridge_settings(layers.only_products)),
        "evaluated": {"split": settings.evaluate, "images": sum(len(rows) for rows in question.evaluations[0].rows)},
    }
    origin = origin or Origin({}, {})
    read = {stored_name(activations): stored.manifest.checksum, **origin.made_from}
    seconds = time.perf_counter() - start
    rows, table = score_rows(question, found, evaluated), target_table(evaluated)
    write_scores(output, header, rows, table, details, seconds, replace(origin, made_from=read), kinds)


def question_of(recording: Recording, layers: Layers, settings: EncodingSettings, regions: Sequence[str]) -> Question:
    """What the metrics are asked; with a final model where one is wanted and no task is fitted on all training images.

    Raises DataError for withheld responses, a recording without test images that is to be evaluated on these, and sizes
    that the subject can't give.
    """
    sampling = sample_rows(recording.training.stimulus_ids, settings, recording.name)
    n = len(recording.training.stimulus_ids)
    if settings.evaluate == "test":
        evaluations, evaluate = _test_sets(recording, len(sampling.draws))
        rows = tuple(n + evaluate for _ in sampling.draws)
    else:
        evaluations, rows = [_held_out(recording, sampling.held_out)], sampling.held_out
    tasks = tuple(Task(draw, own) for draw, own in zip(sampling.draws, rows, strict=True))
    n_folds = settings.held_out_folds if settings.evaluate == "folds" else 1
    whole = settings.evaluate == "test" and len(sampling.draws[0].orders[-1]) == n
    final = None
    if settings.final and not whole:
        test = n + np.arange(len(recording.test.stimulus_ids))
        final = Task(all_rows(recording.training.stimulus_ids, settings), test)
    return Question(recording, tuple(regions), layers, tasks, tuple(evaluations), settings, n_folds, final)


def _test_sets(recording: Recording, n_tasks: int) -> tuple[list[Evaluation], np.ndarray]:
    """The test sets, and the rows of all of them, counted from the first."""
    if not recording.tests:
        fix = "`evaluate: folds`, or `validation`"
        raise DataError(Problem(what="the recording has no test images", where=recording.name, fix=fix))
    found, first = [], 0
    for name, split in recording.tests.items():
        if split.responses is None:
            fix = "evaluate on training images that are held out (`evaluate: validation`), or rebuild them from NSD"
            raise DataError(
                Problem(what="the responses to the test images are withheld", where=recording.name, fix=fix)
            )
        n = len(split.stimulus_ids)
        places, rows = (slice(first, first + n),) * n_tasks, (np.arange(n),) * n_tasks
        responses = partial(read_columns, split.responses)
        label = name if len(recording.tests) > 1 else None
        found.append(Evaluation(label, places, rows, responses, split.ceiling, split.ceiling_images))
        first += n
    return found, np.arange(first)


def _held_out(recording: Recording, rows: tuple[np.ndarray, ...]) -> Evaluation:
    """Training images that the tasks hold out; the ceiling is that of all of them, of folds that of all images."""
    split = recording.training
    ceiling = recording.ceiling_of(split, np.unique(np.concatenate(rows)))
    n_images = None if ceiling is not None else split.ceiling_images
    responses = partial(read_columns, split.known_responses)
    places = tuple(slice(0, len(own)) for own in rows)
    return Evaluation(None, places, rows, responses, split.ceiling if ceiling is None else ceiling, n_images)


def _final_predictions(found: Sequence[Fits], question: Question) -> np.ndarray:
    """Predictions (main test images, V) by the model of all training images, which is ridge."""
    ridge = next(one for one in found if isinstance(one, TargetFits) and one.metric == "ridge")
    last = ridge.final if ridge.final else ridge.found[0][-1]
    return last.predictions[: len(question.recording.test.stimulus_ids)]


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
    entry: RecordingsEncoding,
    located: Mapping[str, LocatedSubject],
    protocol: str,
    minutes: float | None = None,
) -> None:
    """Make the score files that are not there.

    entry: what the study asks of the source; located: where the recordings of each benchmark (`<source>-<subject>`)
    lie; minutes: the job's time limit, which tells how long its first step may take. Raises DataError as
    `score_subject`, of several files when all others are done.
    """
    absent = [out for out in outputs if not out.path.exists()]
    pieces, tally = Pieces(len(absent) == 1), Tally("encoding", "subjects", len(absent))
    for benchmark in dict.fromkeys(out.benchmark for out in absent):
        own = [out for out in absent if out.benchmark == benchmark]
        with pieces.piece(benchmark):
            _score_runs(own, entry, located[benchmark], protocol, minutes, pieces, tally)
    pieces.end()


def _score_runs(
    outputs: Sequence[ScoreJob],
    entry: RecordingsEncoding,
    place: LocatedSubject,
    protocol: str,
    minutes: float | None,
    pieces: Pieces,
    tally: Tally,
) -> None:
    """The score files of one subject, whose recordings are opened once."""
    settings, recording, files = EncodingSettings.of(entry, protocol), None, {}
    patience = patience_of_job(entry.hang_seconds, minutes)
    for out in outputs:
        with making_score(out.path, f"score of {out.run} on {out.benchmark}", KINDS, tally, patience) as lease:
            if lease is None:
                continue
            if recording is None:
                recording, files = open_subject(place), recorded_files(place, out.data)
            simulated = out.data.startswith("simulated-") or recording.simulated
            name = entry.benchmark_of(place.subject)
            header = ScoreHeader(out.run, out.data, simulated, name, settings.metrics, protocol)
            origin = Origin(out.definition, files, lease)
            with pieces.piece(f"{out.run} on {out.benchmark}"):
                score_subject(out.activations, recording, out.path, header, settings, entry.regions, origin)


OPENERS: dict[str, Callable[[Path, str], Recording]] = {
    "tree": read_recording,
    "recording": lambda folder, _: open_recording(folder),
    "v4": read_session,
}
"""What reads the recordings of a subject, from the folder and the subject's name, by the kind of the folder: a tree in
the Algonauts layout, a prepared folder, or the public repository of V4 sessions."""


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
    if place.kind == "v4":
        session = [file for file in v4_session_files(place.subject).values() if (folder / file).is_file()]
        return {f"{data}/{file}": f"sha256:{file_sha256(folder / file)}" for file in session}
    own = folder / place.subject
    files = sorted(own.rglob("*.npy"))
    if brain := brain_of(folder):
        check_simulated(brain, [path.absolute() for path in files])
    arrays = {path.relative_to(own).as_posix(): file_sha256(path) for path in files}
    return {name: f"sha256:{content_hash(arrays, 64)}"}
