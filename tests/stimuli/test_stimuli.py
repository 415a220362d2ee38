"""Stored stimulus sets: unique, checked, in a fixed order, at the model's visual angle."""

import csv
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroscaling.activations.stimulus_images import Preprocessing, batches, stimulus_images
from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import ArtefactName, file_sha1
from neuroscaling.core.records import sealed, write_record
from neuroscaling.simulate.record import FORMAT as BRAIN
from neuroscaling.simulate.record import files_of
from neuroscaling.stimuli.manifest import image_files, read_manifest
from neuroscaling.stimuli.preparation import place_on_screen, prepare_stimuli
from neuroscaling.study.recording_jobs import StimuliJob
from neuroscaling.study.stimulus_sources import (
    AlgonautsTree,
    BrainScoreSets,
    ImageFolder,
    RecordedSets,
    StimulusSource,
    V4Images,
)
from tests.support.brainscore_data import as_official


def _image(path: Path, value: int, size: tuple[int, int] = (16, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


def _brainscore(root: Path) -> Path:
    """A folder with one image of 8 degrees (hvm) and two of 4 (FreemanZiemba)."""
    sets = {
        "hvm-public": ("dicarlo_MajajHong2015_public", {"a": 10}),
        "FreemanZiemba2013_aperture-public": ("movshon_FreemanZiemba2013_public", {"b": 20, "c": 30}),
    }
    root.mkdir(parents=True)
    for stem, (assembly, images) in sets.items():
        rows = "".join(f"{s},{s}.png\n" for s in images)
        (root / f"stimulus_{stem}.csv").write_text(f"stimulus_id,filename\n{rows}")
        (root / f"assy_{assembly}.nc").write_bytes(assembly.encode())
        for stimulus, value in images.items():
            _image(root / f"stimulus_{stem}" / f"{stimulus}.png", value)
    return root


def _official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same in the layout of Brain-Score's cache, read-only."""
    data = ("MajajHong2015.public", "FreemanZiemba2013.public")
    root = as_official(_brainscore(tmp_path / "local"), tmp_path / "official", data, monkeypatch)
    for path in [*root.rglob("*"), root]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return root


def _prepare(source: StimulusSource, degrees: float | None, out: Path, definition: dict | None = None) -> Path:
    """The manifest of the set of one source."""
    return prepare_stimuli(StimuliJob(out, (source,), degrees, definition))


@pytest.mark.parametrize("official", [False, True])
def test_brainscore_sets_merge_into_one_at_the_models_angle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, official: bool
):
    root = _official(tmp_path, monkeypatch) if official else _brainscore(tmp_path / "data")
    before = sorted(root.rglob("*"))
    manifest = read_manifest(_prepare(RecordedSets(root), 8.0, tmp_path / "set"))
    rows = {row.stimulus_id: row for row in manifest.stimuli}
    assert sorted(rows) == ["a", "b", "c"] and manifest.simulated is False and manifest.degrees == 8.0
    assert (rows["a"].width, rows["b"].width) == (16, 32)
    assert (rows["a"].degrees, rows["b"].degrees) == (8.0, 4.0)
    placed = np.asarray(Image.open(tmp_path / "set" / "images" / rows["b"].filename))
    assert (placed[:8] == 128).all() and (placed[8:24, 8:24] == 20).all()
    files = image_files(tmp_path / "set")
    assert all(file_sha1(file.path) == file.sha1 == rows[s].sha1 for s, file in files.items())
    assert sorted(root.rglob("*")) == before


def test_only_the_named_sets_are_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = _official(tmp_path, monkeypatch)
    source = BrainScoreSets(root, ("FreemanZiemba2013.aperture-public",))
    assert list(image_files(_prepare(source, 8.0, tmp_path / "set"))) == ["b", "c"]
    with pytest.raises(DataError, match="nearest:  hvm-public"):
        _prepare(BrainScoreSets(root, ("hvm_public",)), 8.0, tmp_path / "none")
    with pytest.raises(DataError, match=r"stimulus_objectome_public\.csv"):
        _prepare(BrainScoreSets(root, ("objectome.public",)), 8.0, tmp_path / "none")


def test_a_zip_of_another_content_is_a_mismatch_and_not_a_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = _official(tmp_path, monkeypatch)
    archive = next(root.rglob("stimulus_hvm-public.zip"))
    expected = archive.parent.name
    archive.chmod(0o644)
    archive.write_bytes(archive.read_bytes() + b"more")
    source = BrainScoreSets(root, ("hvm-public",))
    with pytest.raises(DataError, match="SHA1 mismatch") as error:
        _prepare(source, 8.0, tmp_path / "set")
    assert expected in str(error.value) and file_sha1(archive) in str(error.value)


def test_a_folder_of_ones_own_is_placed_at_its_degrees(tmp_path: Path):
    _image(tmp_path / "mine" / "images" / "x.png", 40)
    (tmp_path / "mine" / "table.csv").write_text("stimulus_id,filename\nx-1,x.png\n")
    root = tmp_path / "mine"
    source = ImageFolder(root, root / "table.csv", root / "images", 16.0)
    manifest = read_manifest(_prepare(source, 8.0, tmp_path / "set"))
    assert [(row.stimulus_id, row.width) for row in manifest.stimuli] == [("x-1", 8)]
    assert manifest.source == [{"kind": "folder", "degrees": 16.0}]
    with pytest.raises(DataError, match=r"absent\.csv"):
        _prepare(replace(source, table=tmp_path / "absent.csv"), 8.0, tmp_path / "none")


RACE = """
import sys, time
from pathlib import Path
from neuroscaling.stimuli import preparation
from neuroscaling.study.recording_jobs import StimuliJob
from neuroscaling.study.stimulus_sources import RecordedSets
row = preparation._row

def slowly(*arguments):
    time.sleep(0.2)
    with open(sys.argv[2] + ".made", "a") as made:
        made.write("x")
    return row(*arguments)

preparation._row = slowly
preparation.prepare_stimuli(StimuliJob(Path(sys.argv[2]), (RecordedSets(Path(sys.argv[1])),), 8.0))
"""


def test_processes_that_prepare_one_set_at_once_make_it_once(tmp_path: Path):
    root, out = _brainscore(tmp_path / "data"), tmp_path / "sets" / "set"
    out.parent.mkdir()
    command = [sys.executable, "-c", RACE, str(root), str(out)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    jobs = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(job.communicate(timeout=600)[1], job.returncode) for job in jobs] == [("", 0)] * 3
    assert {path.name for path in out.parent.iterdir()} == {"set", "set.made"}
    assert Path(f"{out}.made").read_text() == "xxx"  # each of the three images once
    assert sorted(image_files(out)) == ["a", "b", "c"]


def test_a_set_that_is_there_stays_and_one_without_a_manifest_is_made_anew(tmp_path: Path):
    root, out = _brainscore(tmp_path / "data"), tmp_path / "sets" / "set"
    source = RecordedSets(root)
    before = _prepare(source, 8.0, out).read_bytes()
    _image(root / "stimulus_hvm-public" / "a.png", 99)
    assert _prepare(source, 8.0, out).read_bytes() == before
    (out / "manifest.json").unlink()
    rows = read_manifest(_prepare(source, 8.0, out)).stimuli
    shown = next(row for row in rows if row.stimulus_id == "a")
    assert np.asarray(Image.open(out / "images" / shown.filename))[0, 0, 0] == 99
    assert [path.name for path in out.parent.iterdir()] == ["set"]


def test_every_flip_in_a_manifest_is_refused_or_changes_nothing(tmp_path: Path):
    definition = {"set": "mine", "degrees": 8}
    out = tmp_path / str(ArtefactName("set", definition))
    path = _prepare(RecordedSets(_brainscore(tmp_path / "data")), 8.0, out, definition)
    content, whole, refused = path.read_bytes(), read_manifest(path), 0
    for at in range(0, len(content), 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        try:
            assert read_manifest(path) == whole, at
        except DataError:
            refused += 1
    assert refused > len(content) / 3 / 2


def test_a_set_that_was_copied_over_another_is_refused(tmp_path: Path):
    source = RecordedSets(_brainscore(tmp_path / "data"))
    one, other = (str(ArtefactName("set", {"degrees": degrees})) for degrees in (8, 4))
    _prepare(source, 8.0, tmp_path / one, {"degrees": 8})
    (tmp_path / one).rename(tmp_path / other)
    with pytest.raises(DataError, match="another artefact stands under this name") as error:
        stimulus_images(tmp_path / other / "manifest.json")
    assert one[-8:] in str(error.value) and other[-8:] in str(error.value)


def test_a_larger_screen_pads_and_a_smaller_one_crops():
    pixels = np.arange(16 * 12 * 3, dtype=np.uint8).reshape(16, 12, 3)
    image = Image.fromarray(pixels)
    assert place_on_screen(image, 8, 8) is image
    larger = np.asarray(place_on_screen(image, 4, 8))
    assert larger.shape == (32, 24, 3) and (larger[8:24, 6:18] == pixels).all() and (larger[0] == 128).all()
    assert (np.asarray(place_on_screen(image, 8, 4)) == pixels[4:12, 3:9]).all()


def test_algonauts_images_come_once_by_their_nsd_id(tmp_path: Path):
    for subject, split, name, value in [
        ("subj01", "training", "train-0001_nsd-00007.png", 7),
        ("subj01", "test", "test-0001_nsd-00003.png", 3),
        ("subj02", "training", "train-0001_nsd-00003.png", 3),
        ("subj02", "test", "test-0001_nsd-00012.png", 12),
    ]:
        _image(tmp_path / subject / f"{split}_split" / f"{split}_images" / name, value)
    source = AlgonautsTree(tmp_path)
    rows = read_manifest(_prepare(source, None, tmp_path / "out" / "all")).stimuli
    assert [row.stimulus_id for row in rows] == ["nsd-00003", "nsd-00007", "nsd-00012"]
    # fMRI images are shown whole, whatever the angle of Brain-Score's screen.
    same = read_manifest(_prepare(AlgonautsTree(tmp_path, ["subj01"]), 8.0, tmp_path / "out" / "one")).stimuli
    assert same == rows[:2]
    with pytest.raises(DataError, match="subj09"):
        _prepare(AlgonautsTree(tmp_path, ["subj09"]), None, tmp_path / "out" / "none")


def _v4_zip(root: Path, numbers: list[int]) -> V4Images:
    (root / "images").mkdir(parents=True)
    with zipfile.ZipFile(root / "images" / "images_190923.zip", "w") as archive:
        for number in numbers:
            buffer = BytesIO()
            Image.new("RGB", (8, 8), (number, 0, 0)).save(buffer, "JPEG", quality=100)
            archive.writestr(f"folder/image{number:04d}.jpg", buffer.getvalue())
    return V4Images(root, "190923")


def test_v4_images_are_ordered_by_number(tmp_path: Path):
    source = _v4_zip(tmp_path, [100, 20, *range(1, 20), *range(21, 100)])
    files = image_files(_prepare(source, None, tmp_path / "set"))
    assert list(files) == [f"190923-{number:04d}" for number in range(1, 101)]
    red = [np.asarray(Image.open(file.path))[0, 0, 0] for file in files.values()]
    assert np.abs(np.array(red, int) - np.arange(1, 101)).max() <= 2


def test_v4_gap_in_the_numbering_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="missing in the numbering"):
        _prepare(_v4_zip(tmp_path, [1, 2, 4]), None, tmp_path / "set")


def test_corrupt_images_are_all_named_and_nothing_is_left(tmp_path: Path):
    root = _brainscore(tmp_path / "data")
    for name in ("stimulus_hvm-public/a.png", "stimulus_FreemanZiemba2013_aperture-public/c.png"):
        whole = (root / name).read_bytes()
        (root / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError) as error:
        _prepare(RecordedSets(root), 8.0, tmp_path / "sets" / "set")
    assert "2 of 3" in str(error.value) and "a.png" in str(error.value) and "c.png" in str(error.value)
    assert list((tmp_path / "sets").iterdir()) == []


def test_one_id_for_two_images_is_refused(tmp_path: Path):
    root = _brainscore(tmp_path / "data")
    csv = root / "stimulus_FreemanZiemba2013_aperture-public.csv"
    csv.write_text("stimulus_id,filename\na,b.png\n")
    with pytest.raises(DataError, match="two images"):
        _prepare(RecordedSets(root), 8.0, tmp_path / "set")


ALIKE = [
    *("scene 1[a]", "scene 1(a)", "scene_1_a_", "Scene_1_a_", "SCENE_1_A_"),
    *("a/b", "a\\b", "a:b", "a_b", "..", ".", ".a", "-", "NA", "null", "nan"),
    *("\u00e9", "e\u0301", "\u56f3", "x" * 250, "x" * 249 + "y", "a.png", "a", "A.png"),
]
ORDINARY = ["scene_1", "NA", "null", "nan", "im-1.v2", "a", "-"]


def test_ids_that_look_alike_have_a_file_each_and_ordinary_ones_their_own_name(tmp_path: Path):
    stimuli = list(dict.fromkeys(ALIKE + ORDINARY))
    for value in range(len(stimuli)):
        _image(tmp_path / "images" / f"{value}.png", value)
    with open(tmp_path / "table.csv", "w", newline="", encoding="utf-8") as file:
        rows = [("stimulus_id", "filename"), *((stimulus, f"{i}.png") for i, stimulus in enumerate(stimuli))]
        csv.writer(file).writerows(rows)
    source = ImageFolder(tmp_path, tmp_path / "table.csv", tmp_path / "images")
    files = image_files(_prepare(source, 8.0, tmp_path / "set"))
    assert list(files) == stimuli
    assert len({file.path.name.lower() for file in files.values()}) == len(stimuli)
    shown = [Preprocessing(16).load(files[stimulus])[0, 0, 0] for stimulus in stimuli]
    assert shown == list(range(len(stimuli)))
    assert [files[stimulus].path.name for stimulus in ORDINARY] == [f"{stimulus}.png" for stimulus in ORDINARY]
    assert all(len(file.path.name) <= 204 for file in files.values())


def test_an_image_that_is_not_the_prepared_one_is_named_with_both_sha1s(tmp_path: Path):
    manifest = _prepare(RecordedSets(_brainscore(tmp_path / "data")), 8.0, tmp_path / "set")
    file = image_files(manifest)["b"]
    _image(file.path, 21)
    with pytest.raises(DataError) as error:
        next(batches(list(image_files(manifest).values()), 8))
    (problem,) = error.value.problems
    assert (problem.where, problem.value, problem.allowed) == (str(file.path), file_sha1(file.path), file.sha1)
    assert problem.fix == f"delete {tmp_path / 'set'} and run again"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filename": "a.png"}, "several stimuli share one filename"),
        ({"stimulus_id": "a"}, "several stimuli share one stimulus_id"),
        ({"filename": "../b.png"}, "lacks a key"),
        ({"sha1": None}, "lacks a key"),
    ],
)
def test_a_manifest_that_is_not_whole_is_refused(tmp_path: Path, change: dict, message: str):
    manifest = _prepare(RecordedSets(_brainscore(tmp_path / "data")), 8.0, tmp_path / "set")
    content = read_manifest(manifest).content()
    content["stimuli"] = [content["stimuli"][0], content["stimuli"][1] | change, *content["stimuli"][2:]]
    write_record(manifest, content)
    with pytest.raises(DataError, match=message):
        stimulus_images(manifest)


def test_a_simulated_source_makes_a_simulated_set_of_the_files_that_the_brain_states(tmp_path: Path):
    root = _brainscore(tmp_path / "brain" / "brainscore")
    record = {"format": BRAIN, "definition": None, "simulated": True, "files": files_of(root.parent)}
    write_record(root.parent / "manifest.json", record)
    source = RecordedSets(root)
    manifest = read_manifest(_prepare(source, 8.0, tmp_path / "set"))
    assert manifest.simulated
    assert manifest.made_from == {"simulated/brain/manifest.json": sealed(record)["checksum"]}
    _image(root / "stimulus_hvm-public" / "a.png", 99)
    with pytest.raises(DataError, match=r"a\.png: a file of the simulated brain was altered"):
        _prepare(source, 8.0, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_missing_files_are_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"assy_dicarlo_MajajHong2015_public\.nc"):
        _prepare(RecordedSets(tmp_path), 8.0, tmp_path / "set")
    (_brainscore(tmp_path / "data") / "stimulus_hvm-public.csv").unlink()
    with pytest.raises(DataError, match=r"missing\n.*stimulus_hvm-public\.csv"):
        _prepare(RecordedSets(tmp_path / "data"), 8.0, tmp_path / "set")
    with pytest.raises(DataError, match=r"images_190923\.zip"):
        _prepare(V4Images(tmp_path, "190923"), None, tmp_path / "set")


def test_a_missing_stored_image_is_named(tmp_path: Path):
    _prepare(RecordedSets(_brainscore(tmp_path / "data")), 8.0, tmp_path / "set")
    (tmp_path / "set" / "images" / "b.png").unlink()
    with pytest.raises(DataError, match=r"b\.png"):
        image_files(tmp_path / "set")
