"""Scores of fMRI as artefacts of a store: made once, under their name, whole, and checked byte by byte when read."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import ArtefactName, file_sha256
from neuroscaling.core.score_files import checked_file, file_beside, read_score
from neuroscaling.encoding.encoding_job import score_encodings
from neuroscaling.recordings.recording import Recording
from neuroscaling.study.jobs import ScoreJob
from neuroscaling.study.recordings import LocatedSubject
from neuroscaling.study.sections.encoding import AlgonautsEncoding
from tests.encoding.test_encoding import ENTRY, N_TEST, N_TRAIN, SOURCE, all_ids, latent, respond, store
from tests.recordings.test_algonauts import write_tree

RUN, BENCHMARK = "resnet_w8-00000000", "algonauts2023-subj01"
KINDS = ["accuracy.parquet", "lh_pred_test.npy", "rh_pred_test.npy", "targets.parquet"]
ASKED = SOURCE | ENTRY | {"submissions": {"one": {}}, "draws": 3}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree"), ("subj01",), N_TRAIN, N_TEST, respond)


@pytest.fixture(scope="module")
def activations(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "activations" / RUN
    return store(folder, all_ids(tree), {"all": latent})


def output(folder, activations, **entry):
    definition = {"benchmark": BENCHMARK, "entry": ASKED | entry}
    path = folder / str(ArtefactName(BENCHMARK, definition)) / f"{RUN}.json"
    return ScoreJob(path, RUN, Path(RUN), "tree", BENCHMARK, "set", activations, definition)


def encode(outputs, tree, **changes):
    entry = AlgonautsEncoding.model_validate(ASKED | changes)
    score_encodings(outputs, entry, {BENCHMARK: LocatedSubject(tree, "tree", "subj01")}, "corrected")


@pytest.fixture(scope="module")
def scored(tree, activations, tmp_path_factory):
    out = output(tmp_path_factory.mktemp("scores"), activations)
    encode([out], tree)
    return out


def test_a_score_is_sealed_and_says_what_it_was_made_from(scored, tree, activations):
    content = read_score(scored.path)
    assert content.definition == scored.definition and sorted(content.files) == KINDS
    assert set(content.made_from) == {f"activations/{RUN}/set.json", "tree/subj01"}
    assert content.provenance["versions"]["numpy"] == np.__version__
    assert all(checked_file(scored.path, content.files, kind) == file_beside(scored.path, kind) for kind in KINDS)


def test_recordings_of_other_content_are_told_apart(scored, activations, tmp_path):
    tree = write_tree(tmp_path, ("subj01",), N_TRAIN, N_TEST, lambda ids, n: respond(ids, n, noise=0.6))
    out = output(tmp_path / "scores", activations)
    encode([out], tree)
    one, other = (read_score(path).made_from for path in (scored.path, out.path))
    assert {name for name in one if one[name] != other[name]} == {"tree/subj01"}


def test_what_is_there_is_kept_and_what_is_absent_is_made_beside_it(scored, tree, activations, monkeypatch):
    folder = scored.path.parents[1]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    other = output(folder, activations, samples=[30, "all"])
    encode([scored, other], tree, samples=[30, "all"])
    assert other.path != scored.path and {row["n_mapping"] for row in read_score(other.path).rows} == {30, N_TRAIN}
    assert {path: path.stat().st_mtime_ns for path in before} == before
    monkeypatch.setattr("neuroscaling.encoding.encoding_job.open_subject", forbidden)
    encode([scored, other], tree)


def forbidden(*_: object) -> Recording:
    """What must not be called."""
    raise AssertionError("the recordings were read though all scores are there")


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_bit_of_a_file_beside_a_score_goes_unseen(scored, kind):
    content, path = read_score(scored.path), file_beside(scored.path, kind)
    whole = path.read_bytes()
    try:
        for place in range(0, len(whole), max(len(whole) // 100, 1)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
            with pytest.raises(DataError, match="the file was altered") as error:
                checked_file(scored.path, content.files, kind)
        assert content.files[kind] in str(error.value) and file_sha256(path) in str(error.value)
    finally:
        path.write_bytes(whole)


TWO = """
import sys
from pathlib import Path
from tests.encoding.test_encoding_batch import encode, output
folder, activations, tree = map(Path, sys.argv[1:])
encode([output(folder, activations)], tree)
"""


def test_two_processes_make_a_score_once(tree, activations, tmp_path):
    out = output(tmp_path, activations)
    left = out.path.with_name(f".{RUN}.targets.parquet.01234567.partial")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of it")
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TWO, str(tmp_path), str(activations), str(tree)]
    both = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0], [one.stderr.read() for one in both]
    expected = {f"{RUN}.{kind}" for kind in [*KINDS, "json"]}
    assert {path.name for path in out.path.parent.iterdir()} == expected
    read_score(out.path)
