"""`neuroscaling store adopt`: weights and runs from outside become runs that a line of a study finds."""

import json
import shutil

import pytest
import yaml

from neuroscaling.cli.main import main
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.records import RunRecord, checked_weights, read_run
from neuroscaling.models.build import build
from neuroscaling.models.weights import save_weights
from neuroscaling.store.adopt import adopt_run, adopt_weights, line_of
from neuroscaling.study.run_table import expand_runs
from neuroscaling.study.sections.whole_study import Study
from tests.store.sound_store import OTHER_DEFINITION, OTHER_RUN, RUN, RUN_DEFINITION, put, put_run
from tests.store.test_prune import files

ARCH = "resnet_w8"


@pytest.fixture
def store(tmp_path):
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "from-a-colleague.safetensors"
    save_weights(build(ARCH, 10, seed=3), path, {})
    return path


def runs_of(line):
    """The runs that a study with this line has."""
    (group,) = yaml.safe_load(line)
    return expand_runs(Study.model_validate({"study": "s", "runs": [group]}), {})


def test_weights_become_a_run_that_the_line_finds(store, weights, capsys):
    arguments = ["store", "adopt", str(store), str(weights), "--arch", ARCH, "--classes", "10", "--note", "from Ann"]
    assert main([*arguments, "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    (run,) = runs_of(row["line"])
    assert run.run == row["run"] and row["status"] == "taken in"
    folder = store / "runs" / run.run
    record = read_run(folder / "run.json")
    assert (record.kind, record.n_classes, record.total_flops) == ("pretrained", 10, None)
    assert record.definition == run.definition
    assert checked_weights(folder).name == "weights-ep0.safetensors"
    known = json.loads((folder / "adopted.json").read_text())
    assert (known["was_called"], known["note"], known["training"]) == (weights.name, "from Ann", "unknown")
    assert known["sha256"] == file_sha256(weights) == file_sha256(folder / known["file"])
    assert main(["store", "verify", str(store)]) == 0


def test_adopting_again_changes_nothing(store, weights, capsys):
    first = adopt_weights(store, weights, ARCH)
    before = {name: (store / name).stat().st_mtime_ns for name in files(store)}
    again = adopt_weights(store, weights, ARCH, note="another word")
    assert first.new and not again.new and again.run == first.run
    assert {name: (store / name).stat().st_mtime_ns for name in files(store)} == before


def test_an_altered_original_is_found_and_mended(store, weights, capsys):
    adopted = adopt_weights(store, weights, ARCH)
    put(adopted.folder / f"{ARCH}.safetensors", b"altered")
    assert main(["store", "verify", str(store)]) == 1
    assert "these are not the weights that were taken in" in capsys.readouterr().err
    adopt_weights(store, weights, ARCH)
    assert main(["store", "verify", str(store)]) == 0


def test_the_file_may_say_of_which_architecture_it_is(store, tmp_path, weights):
    file = tmp_path / "x.safetensors"
    save_weights(build(ARCH, 5, seed=1), file, {"arch": ARCH, "classes": "5"})
    assert adopt_weights(store, file).run.startswith(f"{ARCH}_pretrained-")
    with pytest.raises(StudyError, match=r"does not say of which architecture(.|\n)*--arch"):
        adopt_weights(store, weights)


@pytest.mark.parametrize(
    ("arch", "classes", "words"),
    [
        ("resnet_w16", None, "weights of another architecture"),
        ("resnet_w8x", None, "unknown architecture(.|\n)*nearest: +resnet_w8"),
        (ARCH, 1000, "another number of classes(.|\n)*found: +10"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_left(store, weights, arch, classes, words):
    with pytest.raises((DataError, StudyError), match=words):
        adopt_weights(store, weights, arch, classes)
    assert not files(store)


def test_no_weights_no_store_no_run(store, tmp_path, capsys):
    with pytest.raises(DataError, match="file is missing"):
        adopt_weights(store, tmp_path / "missing.safetensors", ARCH)
    with pytest.raises(DataError, match="not a file of weights"):
        adopt_weights(store, put(tmp_path / "weights.zip", b""), ARCH)
    with pytest.raises(DataError, match="there is no store here"):
        adopt_weights(tmp_path / "stoer", tmp_path / "x.safetensors", ARCH)
    assert main(["store", "adopt", str(store), str(tmp_path)]) == 1
    assert "run.json: file is missing" in capsys.readouterr().err
    assert main(["store", "adopt", str(store), str(tmp_path), "--note", "x"]) == 1
    assert "said of weights alone" in capsys.readouterr().err


def test_a_run_folder_under_another_name_becomes_the_run_that_it_is(store, tmp_path, capsys):
    folder = put_run(tmp_path, RUN, RUN_DEFINITION).rename(tmp_path / "downloaded")
    put(folder / "state/left.pt", b"left")
    assert main(["store", "adopt", str(store), str(folder), "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {"run": RUN, "status": "taken in", "line": '- {"untrained": ["resnet_w8"], "seeds": [0]}'}
    expected = {"run.json", "history.parquet", "weights-ep0.safetensors"}
    assert files(store) == {f"runs/{RUN}/{name}" for name in expected}
    assert not adopt_run(store, folder).new


def test_a_run_folder_that_is_not_what_it_says_is_refused(store, tmp_path):
    folder = put_run(tmp_path, RUN, RUN_DEFINITION)
    put(folder / "weights-ep0.safetensors", b"other weights")
    with pytest.raises(DataError, match="altered"):
        adopt_run(store, folder)
    (folder / "weights-ep0.safetensors").unlink()
    with pytest.raises(DataError, match="a run without its weights"):
        adopt_run(store, folder)
    shutil.copy(put_run(tmp_path, OTHER_RUN, OTHER_DEFINITION) / "run.json", folder / "run.json")
    put_run(store, OTHER_RUN, OTHER_DEFINITION, weights=b"others of this name")
    with pytest.raises(DataError, match="something else under this name"):
        adopt_run(store, tmp_path / "runs" / OTHER_RUN)
    assert not list((store / "runs").glob(f"{RUN}*")) and not list(store.glob(".*"))


def test_adopted_weights_go_to_another_store_as_a_folder(store, tmp_path, weights):
    adopted = adopt_weights(store, weights, ARCH)
    (tmp_path / "second").mkdir()
    again = adopt_run(tmp_path / "second", adopted.folder)
    (run,) = runs_of(again.line)
    assert run.run == adopted.run and str(tmp_path / "second") in again.line


@pytest.mark.parametrize(
    ("token", "subset_seed", "words"),
    [
        ("10", 0, '"samples_per_class": [10]'),
        ("p10", 0, '"samples_per_class": [10]'),
        ("all", 0, '"samples_per_class": ["all"]'),
        ("n5000", 0, '"images": [5000]'),
        ("c100", 7, '"classes": [100], "seeds": [0], "recipe": "digits", "subset_seed": 7'),
    ],
)
def test_the_line_of_a_trained_run(tmp_path, token, subset_seed, words):
    settings = {"dataset": "digits", "subset": token, "subset_seed": subset_seed, "seed": 0}
    record = RunRecord(run="", kind="trained", status="done", arch=ARCH, **settings, recipe={"name": "digits"})
    line = line_of(record, tmp_path)
    assert words in line and yaml.safe_load(line)[0]["archs"] == [ARCH]
