"""run.json and the weights beside it: what was altered, copied in place or deleted is told before it is used."""

import json
import shutil

import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import ArtefactName, file_sha256
from neuroscaling.core.records import (
    checked_weights,
    failure_in,
    lacks_weights,
    read_run,
    seconds_of,
    weights_of,
    write_record,
)

WEIGHTS = "weights-ep2.safetensors"


def run_of(store, seed, **changes):
    """The folder of a run of two epochs, both of which were kept."""
    definition = {"kind": "trained", "seed": seed}
    folder = store / "runs" / str(ArtefactName("net", definition))
    folder.mkdir(parents=True)
    files = {epoch: folder / f"weights-ep{epoch}.safetensors" for epoch in (1, 2)}
    for epoch, file in files.items():
        file.write_bytes(bytes([seed, epoch] * 500))
    kept = [{"epoch": epoch, "file": file.name, "sha256": file_sha256(file)} for epoch, file in files.items()]
    record = {
        "format": "run/3",
        "definition": definition,
        "run": folder.name,
        "kind": "trained",
        "status": "done",
        "weights": WEIGHTS,
        "weights_sha256": kept[1]["sha256"],
        "checkpoints": kept,
        "provenance": {"seconds": 2.5},
    }
    write_record(folder / "run.json", record | changes)
    return folder


@pytest.fixture
def run(tmp_path):
    return run_of(tmp_path, 1)


def test_what_a_sound_run_tells(run):
    record = read_run(run / "run.json")
    assert checked_weights(run) == run / WEIGHTS and seconds_of(record) == 2.5
    assert [file.name for file in weights_of(record)] == [WEIGHTS, "weights-ep1.safetensors"]
    assert not lacks_weights(run, record) and failure_in(run) is None


def test_weights_of_another_run_copied_in_place_are_refused_with_both_sums(run, tmp_path):
    other = run_of(tmp_path, 2)
    expected, found = file_sha256(run / WEIGHTS), file_sha256(other / WEIGHTS)
    shutil.copyfile(other / WEIGHTS, run / WEIGHTS)
    with pytest.raises(DataError) as caught:
        checked_weights(run)
    assert expected in str(caught.value) and found in str(caught.value) and "next:" in str(caught.value)


@pytest.mark.parametrize("place", [0, 3, 333, 999])
def test_any_flipped_bit_of_weights_is_refused(run, place):
    content = bytearray((run / WEIGHTS).read_bytes())
    content[place] ^= 1
    (run / WEIGHTS).write_bytes(content)
    with pytest.raises(DataError, match="not those that"):
        checked_weights(run)


def test_every_flip_of_a_record_that_changes_what_it_says_is_refused(run):
    path = run / "run.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << (place % 7)
        path.write_bytes(content)
        try:
            same = json.loads(content) == json.loads(whole)
        except ValueError:
            same = False
        if same:
            read_run(path)
        else:
            with pytest.raises(DataError):
                read_run(path)


def test_the_record_of_another_run_under_this_name_is_refused(run, tmp_path):
    other = run_of(tmp_path, 2)
    shutil.copyfile(other / "run.json", run / "run.json")
    with pytest.raises(DataError, match="another artefact") as caught:
        read_run(run / "run.json")
    assert run.name.rpartition("-")[2] in str(caught.value) and other.name.rpartition("-")[2] in str(caught.value)


def test_deleted_weights_say_what_to_do(run):
    (run / WEIGHTS).unlink()
    assert lacks_weights(run, read_run(run / "run.json"))
    with pytest.raises(DataError, match="the next start makes the run again"):
        checked_weights(run)


def test_failures_for_good_and_those_that_can_be_mended(tmp_path):
    for_good = run_of(tmp_path, 3, status="failed", problem="the loss is no longer finite", weights=None)
    assert (
        failure_in(for_good) == "the loss is no longer finite" and seconds_of(read_run(for_good / "run.json")) is None
    )
    with pytest.raises(DataError, match="the run failed: the loss"):
        checked_weights(for_good)
    mended = run_of(tmp_path, 4, status="failed", problem="images can't be decoded")
    (mended / "run.json").rename(mended / "failed.json")
    assert failure_in(mended) == "images can't be decoded" and failure_in(tmp_path / "nowhere") is None


def test_baselines_have_no_weights_to_check(tmp_path):
    baseline = run_of(tmp_path, 5, kind="baseline", weights=None, checkpoints=[])
    assert weights_of(read_run(baseline / "run.json")) == []
    with pytest.raises(DataError, match="no weights"):
        checked_weights(baseline)
