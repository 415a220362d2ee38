"""`neuroscaling store verify`: a sound store has no fault, and any altered byte of any artefact is one."""

import json
import os
import shutil

import pytest

from neuroscaling.cli.main import main
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.datasets.subset_sampling import draw
from neuroscaling.store.contents import store_contents
from neuroscaling.store.verify import CHECKS, check_artefact, verify_artefacts
from tests.store.sound_store import BENCHMARK, OTHER_DEFINITION, OTHER_RUN, RUN, make_sound_store, put, put_run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_sound_store(tmp_path_factory.mktemp("sound") / "store")


@pytest.fixture
def store(made, tmp_path):
    return shutil.copytree(made, tmp_path / "store")


def faults(store):
    found = store_contents(store)
    return [problem for one in verify_artefacts(found, found.of(CHECKS), 2) for problem in one.problems]


def only_fault(store):
    (problem,) = faults(store)
    return problem


def test_a_sound_store_has_no_fault_and_everything_was_compared(store, capsys):
    assert main(["store", "verify", str(store), "--jobs", "2", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    rows = {row["stage"]: row for row in json.loads(out)}
    assert set(rows) == set(CHECKS)
    assert not any(row["faulty"] or row["no_checksum_known"] for row in rows.values())
    n = len(files_of(store))
    assert f"{n} of {n} files" in err and err.endswith("0 faults\n")


def files_of(store):
    return sorted(path for path in store.rglob("*") if path.is_file())


def test_every_flipped_byte_is_found(made):
    """A bit of the first, the middle and the last byte of each file, one at a time.

    Not of a subset, whose rows are compared, not its bytes: some of Parquet's say nothing that is read.
    """
    unseen = []
    for file in set(files_of(made)) - set(made.glob("subsets/*/*")):
        content = file.read_bytes()
        for place in {0, len(content) // 2, len(content) - 1}:
            file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            if not faults(made):
                unseen.append((file, place))
        file.write_bytes(content)
    assert not faults(made)
    # White space at the end of a record says nothing.
    assert [(f, place) for f, place in unseen if f.suffix != ".json" or place < f.stat().st_size - 1] == []


def test_a_missing_file_is_found(made):
    """Unless it is an artefact's record, without which there is no artefact, or all of one."""
    found = store_contents(made)
    alone = {artefact.record for artefact in found.of(CHECKS)} | set(made.glob("runs/*/weights-*"))
    for file in set(files_of(made)) - alone:
        aside = file.rename(made.parent / "aside")
        assert any(check_artefact(found, artefact).problems for artefact in found.of(CHECKS)), file
        aside.rename(file)


def test_a_fault_names_both_checksums_and_the_next_step(store, capsys):
    put(store / f"runs/{RUN}/weights-ep0.safetensors", b"weights of another run")
    assert main(["store", "verify", str(store), "--stage", "weights", "activations"]) == 1
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["stage", "weights", "activations"]
    for part in ("weights-ep0.safetensors: the file was altered", "found:", "allowed:", "next:", "1 fault\n"):
        assert part in err


def test_another_subset_under_a_name_is_found(store):
    (file,) = store.glob("subsets/*/*")
    file.unlink()
    index = load_index("digits", DatasetSettings("digits"), "train")
    write_subset(file, index, draw(index, 10, 1), 10, 1, {"subset": "10", "seed": 1})
    assert "the file of another artefact" in only_fault(store).what


def test_all_faults_are_listed(store):
    put(store / f"runs/{RUN}/history.parquet", b"")
    put(store / f"scores/{BENCHMARK}/{RUN}.targets.parquet", b"")
    assert len(faults(store)) == 2


def test_deleted_weights_are_no_fault_but_strange_ones_are(store):
    weights = store / f"runs/{RUN}/weights-ep0.safetensors"
    weights.rename(weights.with_name("weights-ep7.safetensors"))
    assert "weights that run.json does not tell of" in only_fault(store).what
    weights.with_name("weights-ep7.safetensors").unlink()
    assert not faults(store)


def test_artefacts_copied_from_another_run_or_name_are_faults(store):
    put_run(store, OTHER_RUN, OTHER_DEFINITION)
    shutil.copy(store / f"scores/{BENCHMARK}/{RUN}.json", store / f"scores/{BENCHMARK}/{OTHER_RUN}.json")
    shutil.copytree(store / f"activations/{RUN}", store / f"activations/{OTHER_RUN}")
    shutil.copy(store / f"runs/{OTHER_RUN}/run.json", store / f"runs/{RUN}/run.json")
    words = [problem.what for problem in faults(store)]
    assert words.count("the file of another run stands under this name") == 2
    assert words.count("the file of another artefact stands under this name") == 2  # of the run, and for its weights


def test_downloads_without_a_known_checksum_are_told(store, capsys):
    put(store / "data/v4/mine.npy", b"x")
    assert main(["store", "verify", str(store), "--stage", "data", "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["artefacts"], row["no_checksum_known"]) == (2, 1)


def test_a_folder_that_cannot_be_looked_into_is_a_fault(store, capsys, monkeypatch):
    folder = store / f"activations/{RUN}"

    def scandir(path, real=os.scandir):
        if path == folder:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert main(["store", "verify", str(store)]) == 1
    assert f"{folder}: no permission to look into it" in capsys.readouterr().err
