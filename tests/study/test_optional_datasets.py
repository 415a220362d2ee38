"""A study does without an optional data set that is not here: its runs and fits are left out, and this is said."""

import copy

import pytest
import yaml
from PIL import Image

from neuroscaling.cli.main import main
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.store.usage import studies_of
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.optional_datasets import read_left_out, write_left_out
from neuroscaling.study.session import write_wanted
from neuroscaling.study.wanted import Targets

TRAINED = {"archs": ["resnet_w4"], "recipe": "digits", "samples_per_class": [1], "seeds": [0, 1]}
OURS = {"format": "imagefolder", "root": "ours", "optional": True}
STUDY = {
    "study": "s",
    "store": "store",
    "datasets": {"digits": {"format": "digits"}, "ours": OURS},
    "runs": [{**TRAINED, "datasets": ["ours"]}, {**TRAINED, "datasets": ["digits"]}],
    "training": {"packs": {"ours": {"size": 32}}},
    "fits": ["fits.yaml"],
}
FIT = {"form": "log_linear", "x": "n_samples"}
FITS = [
    {"name": "mine", **FIT, "filters": {"dataset": "ours"}},
    {"name": "each", **FIT, "by": {"dataset": ["ours", "digits"]}},
    {"name": "both", **FIT, "filters": {"dataset": ["ours", "digits"]}},
    {"name": "others", **FIT, "filters": {"dataset": {"not": "ours"}}},
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the study in it, and without the images."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fits.yaml").write_text(yaml.safe_dump({"fits": FITS}))
    write(tmp_path)
    return tmp_path


def write(folder, **changes):
    (folder / "s.yaml").write_text(yaml.safe_dump(copy.deepcopy(STUDY) | changes, sort_keys=False))


def make_images(folder, classes=("a", "b")):
    for split in ("train", "val"):
        for name in classes:
            place = folder / "ours" / split / name
            place.mkdir(parents=True)
            Image.new("RGB", (8, 8), (len(name), 30, 60)).save(place / "1.png")


def test_runs_of_an_absent_data_set_are_left_out(folder):
    study = load_study("s.yaml")
    assert [run.dataset for run in study.runs.values()] == ["digits", "digits"]
    assert study.left_out == ("ours",)
    assert sorted(study.fits) == ["both", "each.digits", "others"]
    assert not study.config.training.packs
    (note,) = study.left_out_notes()
    assert note == (
        "left out: data set ours (2 runs, fits mine, each.ours): its folder ours is missing; "
        "to have it: mount or fill it, or correct `root:`"
    )


@pytest.mark.parametrize("root", ["", "empty"])
def test_no_root_and_an_empty_folder_are_absent(folder, root):
    (folder / "empty").mkdir()
    write(folder, datasets={"digits": {"format": "digits"}, "ours": OURS | {"root": root}})
    study = load_study("s.yaml")
    assert study.left_out == ("ours",)
    assert ("export OURS_ROOT" if not root else "is empty") in study.left_out_notes()[0]


def test_shards_are_absent_with_their_folder(folder):
    shards = {"format": "webdataset", "train": "shards/{00..03}.tar", "validation": "shards/v.tar", "optional": True}
    write(folder, datasets={"digits": {"format": "digits"}, "ours": shards})
    assert load_study("s.yaml").left_out == ("ours",)
    (folder / "shards").mkdir()
    (folder / "shards" / "other.txt").write_text("x")
    with pytest.raises(StudyError):
        load_study("s.yaml")


def test_a_present_data_set_is_used(folder):
    make_images(folder)
    study = load_study("s.yaml")
    assert [run.dataset for run in study.runs.values()] == ["ours", "ours", "digits", "digits"]
    assert study.left_out == () and not study.left_out_notes()
    assert len(study.fits) == 5
    named = {run.run for run in study.runs.values()}
    needed = OURS | {"optional": False}
    write(folder, datasets={"digits": {"format": "digits"}, "ours": needed})
    assert named == {run.run for run in load_study("s.yaml").runs.values()}, "whether it is optional is in no name"


def test_a_broken_data_set_is_an_error(folder):
    (folder / "ours").mkdir()
    (folder / "ours" / "train").mkdir()
    with pytest.raises(StudyError, match="ours"):
        load_study("s.yaml")


def test_a_data_set_that_is_not_optional_is_an_error(folder):
    write(folder, datasets={"digits": {"format": "digits"}, "ours": OURS | {"optional": False}})
    with pytest.raises(StudyError, match="folder is missing"):
        load_study("s.yaml")


def test_a_study_of_nothing_else_needs_it(folder):
    write(folder, runs=STUDY["runs"][:1])
    with pytest.raises(StudyError, match="folder is missing"):
        load_study("s.yaml")


def test_a_fault_beside_it_is_told_at_its_own_line(folder):
    write(folder, runs=[STUDY["runs"][0], {**STUDY["runs"][1], "samples_per_class": [5000]}])
    with pytest.raises(StudyError) as caught:
        load_study("s.yaml")
    assert ["runs[1].samples_per_class[0]" in str(problem.where) for problem in caught.value.problems] == [True]


def test_jobs_have_the_run_table_of_their_driver(folder):
    absent = load_study("s.yaml")
    write_left_out(folder / "left_out.json", absent.left_out)
    kept = read_left_out(folder / "left_out.json")
    make_images(folder)
    here = load_study("s.yaml", decided=lambda name: kept)
    assert list(here.runs) == list(absent.runs) and list(here.fits) == list(absent.fits)
    assert read_left_out(folder / "no.json") is None


def test_a_job_that_misses_the_images_of_its_driver_fails(folder):
    with pytest.raises(StudyError, match="folder is missing"):
        load_study("s.yaml", decided=lambda name: [])


def test_a_damaged_list_is_refused(folder):
    (folder / "left_out.json").write_text("{}")
    with pytest.raises(DataError, match="start the study again"):
        read_left_out(folder / "left_out.json")


@pytest.mark.parametrize("command", ["runs", "plan", "status"])
def test_commands_say_what_is_left_out(folder, capsys, command):
    # `status` says by its exit status that something is left.
    assert main([command, "s.yaml"]) == (3 if command == "status" else 0)
    shown = capsys.readouterr()
    assert shown.err.count("left out: data set ours (2 runs, fits mine, each.ours)") == 1
    assert "left out" not in shown.out


def test_check_says_what_is_left_out(folder, capsys):
    assert main(["check", "s.yaml"]) == 0
    assert "2 runs, 3 fits, no problem found\nleft out: data set ours" in capsys.readouterr().out


def test_a_pack_of_it_is_refused_as_absent(folder, capsys):
    assert main(["data", "pack", "s.yaml", "ours"]) == 1
    assert "its folder ours is missing" in capsys.readouterr().err


def test_its_artefacts_are_never_called_unused(folder):
    with pytest.raises(DataError, match="an optional data set was left out"):
        studies_of([folder / "s.yaml"])
    write_wanted(Targets(load_study("s.yaml")))
    with pytest.raises(DataError, match="an optional data set was left out"):
        studies_of([folder])


def test_submissions_of_its_networks_alone_are_left_out(folder):
    own = {"submissions": {"mine": {"archs": ["vit_w16"]}, "digits": {"archs": ["vit_w16", "resnet_w4"]}}}
    write(
        folder,
        runs=[{**TRAINED, "archs": ["vit_w16"], "datasets": ["ours"]}, STUDY["runs"][1]],
        simulated={"brain": {"seed": 1}},
        encoding=[{"source": "algonauts2023", "data": {"simulated": "brain"}, **own}],
    )
    assert list(load_study("s.yaml").config.encoding[0].submissions) == ["digits"]
