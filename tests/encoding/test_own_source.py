"""A source of fMRI recordings from outside the package: its reader is registered, and the truth is found in them."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuroscaling.core import watching
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.hashing import ArtefactName
from neuroscaling.core.progress import progress_beside, read_progress
from neuroscaling.core.score_files import read_score
from neuroscaling.encoding.encoding_job import OPENERS, score_encodings
from neuroscaling.recordings.recording import Recording, Responses, Split
from neuroscaling.study.jobs import ScoreJob
from neuroscaling.study.recordings import LocatedSubject
from neuroscaling.study.sections.encoding import AlgonautsEncoding
from tests.encoding.test_encoding import SOURCE, latent, noise, store

N_TRAIN, N_TEST, N_VOXELS = 120, 40, 12
TRAINING, TEST = ([f"nsd-{i:05d}" for i in rows] for rows in (range(N_TRAIN), range(N_TRAIN, N_TRAIN + N_TEST)))


def write_recordings(folder: Path) -> None:
    """A layout of one's own: `<subject>/<split>.npy`, voxels whose responses follow a network's layer `truth`."""
    folder.mkdir(parents=True)
    weights = np.random.default_rng(0).standard_normal((6, N_VOXELS))
    for split, ids in (("train", TRAINING), ("test", TEST)):
        faults = np.random.default_rng(len(ids)).standard_normal((len(ids), N_VOXELS))
        np.save(folder / f"{split}.npy", (latent(ids) @ weights + 0.3 * faults).astype(np.float32))


def read_own(folder: Path, subject: str) -> Recording:
    """The reader of that layout."""
    everything = (np.arange(N_VOXELS),)
    splits = [
        Split(ids, None, Responses((folder / subject / f"{name}.npy",), everything))
        for name, ids in (("train", TRAINING), ("test", TEST))
    ]
    return Recording(
        name=subject,
        training=splits[0],
        tests={"test": splits[1]},
        hemisphere=np.full(N_VOXELS, "both"),
        vertex=np.arange(N_VOXELS),
        regions={"V1": np.arange(N_VOXELS) < 6, "V2": np.arange(N_VOXELS) >= 6},
        ncsnr=None,
        fsaverage=None,
        masked={"both": []},
    )


def job(folder: Path) -> ScoreJob:
    activations = store(folder / "activations" / "net", [*TRAINING, *TEST], {"noise": noise(0, 6), "truth": latent})
    path = folder / str(ArtefactName("ours-anna", {"of": "anna"})) / "net.json"
    return ScoreJob(path, "net", folder / "net", "ours", "ours-anna", "set", activations, {"of": "anna"})


def test_a_source_from_outside_the_package_is_encoded(tmp_path, monkeypatch):
    write_recordings(tmp_path / "ours" / "anna")
    monkeypatch.setitem(OPENERS, "voxels of ours", read_own)
    out, entry = job(tmp_path), AlgonautsEncoding.model_validate(SOURCE | {"draws": 20})
    lost = replace(out, path=out.path.with_name("lost.json"), benchmark="ours-ben")
    places = {f"ours-{one}": LocatedSubject(tmp_path / "ours", "voxels of ours", one) for one in ("ben", "anna")}
    # A subject that can't be read keeps no other from being scored.
    with pytest.raises(DataError, match="ours-ben") as told:
        score_encodings([lost, out], entry, places, "corrected")
    assert len(told.value.problems) == 1 and not lost.path.exists()
    scores = read_score(out.path)
    assert {row["region"]: row["layer"] for row in scores.rows} == {"V1": "truth", "V2": "truth"}
    assert all(row["raw"] > 0.9 and row["scale"] == "r2" for row in scores.rows)
    assert set(scores.made_from) == {"activations/net/set.json", "ours/anna"}


def test_an_unknown_kind_of_folder_comes_with_the_nearest(tmp_path):
    out, entry = job(tmp_path), AlgonautsEncoding.model_validate(SOURCE)
    with pytest.raises(StudyError, match="no reader of such a folder") as caught:
        score_encodings([out], entry, {"ours-anna": LocatedSubject(tmp_path, "trees", "anna")}, "corrected")
    assert caught.value.problems[0].nearest == "tree"


def test_a_subject_tells_its_candidates_and_hangs_where_its_recordings_do_not_come(tmp_path, monkeypatch):
    """A disk that does not answer: the reading waits until the watch has told of it, however slow this machine is."""
    write_recordings(tmp_path / "ours" / "anna")
    out, over, told = job(tmp_path), threading.Event(), []

    class Lost(Responses):
        def read(self, start, stop):
            assert over.wait(100)
            return super().read(start, stop)

    def lost(folder, subject):
        found = read_own(folder, subject)
        responses = Lost(found.training.known_responses.files, found.training.known_responses.columns)
        return replace(found, training=replace(found.training, responses=responses))

    def hangs(problem, *_):
        progress = read_progress(progress_beside(out.path))
        if progress is not None and progress.part is not None:
            told.append((problem.what, progress.part))
            over.set()

    monkeypatch.setattr(watching, "WRITE_EVERY", 0.0)
    monkeypatch.setattr(watching, "tell_and_end", hangs)
    monkeypatch.setitem(OPENERS, "a lost disk", lost)
    entry = AlgonautsEncoding.model_validate(SOURCE | {"draws": 0, "hang_seconds": 0.2})
    score_encodings([out], entry, {"ours-anna": LocatedSubject(tmp_path / "ours", "a lost disk", "anna")}, "corrected")
    assert told[0] == ("no step for too long: it hangs", "candidate 1 of 2")
    assert out.path.exists() and read_progress(progress_beside(out.path)) is None
