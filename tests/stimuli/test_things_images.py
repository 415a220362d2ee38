"""Images of THINGS have one id each, whoever names them, and one set serves monkeys and people (SIMULATED trees)."""

import hashlib

import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.stimuli.manifest import image_files, read_manifest
from neuroscaling.stimuli.preparation import prepare_stimuli
from neuroscaling.stimuli.sources import find_stimuli
from neuroscaling.study.recording_jobs import StimuliJob
from neuroscaling.study.stimulus_sources import ThingsImages
from neuroscaling.study.things_tree import things_id
from tests.support.simulated_things import ThingsSettings, write_things

FEW = ThingsSettings(concepts=6, exemplars=2, known=4, monkeys=("monkeyN",), people=("sub-01",))


@pytest.mark.parametrize(
    "path",
    [
        "aardvark\\aardvark_01b.jpg",
        "aardvark/aardvark_01b.jpg",
        "aardvark_01b.jpg",
        "object_images/aardvark/aardvark_01b.jpg",
    ],
)
def test_one_id_whoever_names_the_image(path):
    assert things_id(path) == "aardvark/aardvark_01b"


def test_concepts_with_underlines_and_numbers():
    assert things_id("air_conditioner\\air_conditioner_01b.jpg") == "air_conditioner/air_conditioner_01b"
    assert things_id("bat1_12s.jpg") == "bat1/bat1_12s"


@pytest.mark.parametrize("flat", [False, True])
def test_one_set_holds_the_images_of_both_once(tmp_path, flat):
    pictures = write_things(tmp_path, ThingsSettings(**{**vars(FEW), "flat": flat}))
    both = ThingsImages(tmp_path / "things", tmp_path / "tvsd", tmp_path / "things_fmri")
    assert [stimulus.stimulus_id for stimulus in find_stimuli(both)] == sorted(pictures.ids)
    people = ThingsImages(tmp_path / "things" / "object_images", fmri=tmp_path / "things_fmri")
    assert [one.stimulus_id for one in find_stimuli(people)] == [
        one for one in sorted(pictures.ids) if one < "object04"
    ]
    manifest = prepare_stimuli(StimuliJob(tmp_path / "set", (both,), None))
    assert read_manifest(manifest).simulated
    assert read_manifest(manifest).source == [{"kind": "things", "shown_in": ["tvsd", "things_fmri"]}]
    shown = image_files(manifest.parent)
    for name, stimulus in zip(pictures.names, pictures.ids, strict=True):
        folder = tmp_path / "things/object_images" / ("" if flat else stimulus.split("/")[0])
        assert shown[stimulus].sha1 == hashlib.sha1((folder / f"{name}.jpg").read_bytes()).hexdigest()


def test_missing_images_are_counted_and_named(tmp_path):
    write_things(tmp_path, FEW)
    (tmp_path / "things/object_images/object01/object01_02s.jpg").unlink()
    with pytest.raises(DataError, match="1 of 18 images are missing") as caught:
        find_stimuli(ThingsImages(tmp_path / "things", tvsd=tmp_path / "tvsd"))
    assert "object01/object01_02s" in str(caught.value)
