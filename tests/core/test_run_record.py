"""run.json and the weights beside it: what was altered, copied in place or deleted is told before it is used."""

import json
import shutil

import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import ArtefactName, file_sha256
from neuroscaling.core.records import RunRecord, checked_weights, failure_in, read_run, write_run_record
from tests.support.run_records import run_content, write_run

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
        "definition": definition,
        "weights": WEIGHTS,
        "weights_sha256": kept[1]["sha256"],
        "checkpoints": kept,
        "provenance": {"seconds": 2.5},
    }
    write_run(folder / "run.json", run_content(folder.name, **record | changes))
    return folder


@pytest.fixture
def run(tmp_path):
    return run_of(tmp_path, 1)


def test_what_a_sound_run_tells(run):
    record = read_run(run / "run.json")
    assert checked_weights(run) == run / WEIGHTS and record.seconds == 2.5
    assert [file.name for file in record.weights_files] == [WEIGHTS, "weights-ep1.safetensors"]
    assert not record.lacks_weights(run) and failure_in(run) is None


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
    assert read_run(run / "run.json").lacks_weights(run)
    with pytest.raises(DataError, match="the next start makes the run again"):
        checked_weights(run)


def test_failures_for_good_and_those_that_can_be_mended(tmp_path):
    for_good = run_of(tmp_path, 3, status="failed", problem="the loss is no longer finite", weights=None)
    assert failure_in(for_good) == "the loss is no longer finite" and read_run(for_good / "run.json").seconds is None
    with pytest.raises(DataError, match="the run failed: the loss"):
        checked_weights(for_good)
    mended = run_of(tmp_path, 4, status="failed", problem="images can't be decoded")
    (mended / "run.json").rename(mended / "failed.json")
    assert failure_in(mended) == "images can't be decoded" and failure_in(tmp_path / "nowhere") is None


def test_baselines_have_no_weights_to_check(tmp_path):
    baseline = run_of(tmp_path, 5, kind="baseline", weights=None, checkpoints=[])
    assert read_run(baseline / "run.json").weights_files == []
    with pytest.raises(DataError, match="no weights"):
        checked_weights(baseline)


def test_a_record_is_read_checked_and_written_again_with_the_same_bytes(run, tmp_path):
    path = run / "run.json"
    record = read_run(path)
    assert record.checkpoints[0].epoch == 1 and record.n_samples_seen == 500
    (tmp_path / "again").mkdir()
    again = tmp_path / "again" / "run.json"
    write_run_record(again, record)
    write_run_record(tmp_path / "twice.json", RunRecord.of(json.loads(again.read_text()), again))
    assert again.read_bytes() == (tmp_path / "twice.json").read_bytes()
    stated, written = json.loads(path.read_text()), json.loads(again.read_text())
    assert {key: written[key] for key in stated if key != "checksum"} == {
        key: value for key, value in stated.items() if key != "checksum"
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"macs": "many"}, "macs: not a value"),
        ({"checkpoints": [{"file": "a"}]}, "checkpoints: weights that were kept lack a key"),
    ],
)
def test_values_that_a_key_cannot_have_are_named(tmp_path, changes, told):
    with pytest.raises(DataError, match=told):
        read_run(write_run(tmp_path / "run.json", run_content(**changes)))


def test_keys_that_a_finished_run_lacks_are_named_and_a_failed_one_needs_few(tmp_path):
    content = run_content()
    del content["acc"], content["macs"]
    with pytest.raises(DataError, match="key is missing") as caught:
        read_run(write_run(tmp_path / "run.json", content))
    assert caught.value.problems[0].value == "macs, acc"
    content |= {"status": "failed", "problem": "the loss is no longer finite"}
    assert read_run(write_run(tmp_path / "run.json", content)).failure == content["problem"]
