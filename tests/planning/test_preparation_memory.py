"""What jobs ask for that prepare recordings and pack data sets follows from the numbers of images and targets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from neuroscaling.planning import preparation_memory
from neuroscaling.planning.encoding import SubjectShape, subject_shape
from neuroscaling.planning.job_resources import Asked
from neuroscaling.planning.preparation_memory import PACK_MB, RECORDINGS_MB
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.sections.encoding import NsdEncoding
from neuroscaling.study.wanted import Targets


def asked(folder: Path, **content: Any) -> Asked:
    """Of a study of one untrained network, and what else it has."""
    path = folder / "study.yaml"
    study = {"study": "one", "store": str(folder / "store"), "runs": [{"untrained": ["resnet_w8"]}]}
    path.write_text(yaml.safe_dump(study | content))
    return Asked(Targets(load_study(path, planning=True)))


def of_arrays(folder: Path, units: int) -> Asked:
    """Of a study with made-up responses of `units` targets to ten images."""
    (folder / "images").mkdir(parents=True)
    for i in range(10):
        (folder / f"images/{i}.png").touch()
    np.save(folder / "responses.npy", np.zeros((10, units), np.float32))
    (folder / "units.csv").write_text("region\n" + "V1\n" * units)
    entry = {"source": "arrays", "name": "made-up", "data": {"local": str(folder)}, "images": "images"}
    entry |= {"responses": "responses.npy", "units": "units.csv", "simulated": True, "axes": ["images", "units"]}
    return asked(folder, encoding=[entry])


def of_data_set(folder: Path, images: int) -> Asked:
    """Of a study that packs a data set which isn't here."""
    data = {"format": "imagefolder", "root": "", "classes": 1000, "images": images}
    runs = [{"archs": ["resnet18"], "datasets": ["large"], "recipe": "deit300", "samples_per_class": [1]}]
    return asked(folder, datasets={"large": data}, runs=runs, training={"packs": {"large": {"size": 256}}})


def test_mapped_files_of_responses_count(tmp_path, monkeypatch):
    few = of_arrays(tmp_path / "few", 1000)
    (subject,) = few.targets.names.subjects
    assert few.preparation(subject.data, subject.subject).mem_mb == RECORDINGS_MB
    monkeypatch.setattr(preparation_memory, "RECORDINGS_MB", 0)
    many = of_arrays(tmp_path / "many", 20_000)
    found = [preparation_memory.recordings_mb(one.targets.study, one.targets.names.subjects[0]) for one in (few, many)]
    source, prepared = (4 * 10 * (20_000 - 1000) / 1e6,) * 2
    assert found[1] - found[0] == pytest.approx(source + prepared, abs=0.01)


def test_all_vertices_of_nsd_ask_for_more_than_the_least(tmp_path):
    one = of_arrays(tmp_path / "arrays", 10)
    (subject,) = one.targets.names.subjects
    found = {}
    for cortex in ("nsdgeneral", "all-vertices"):
        entry = NsdEncoding.model_validate({"source": "nsd", "data": {"local": tmp_path}, "cortex": cortex})
        nsd = replace(subject, entry=entry, subject="subj01")
        found[cortex] = subject_shape(one.targets.study, nsd), preparation_memory.recordings_mb(one.targets.study, nsd)
    assert found["nsdgeneral"] == (SubjectShape(9000, 1000, 45_000), RECORDINGS_MB)
    assert found["all-vertices"][0] == SubjectShape(9000, 1000, 2 * 163_842)
    assert found["all-vertices"][1] > 4 * 10_000 * 2 * 163_842 / 1e6 + 1000


def test_a_subject_whose_files_nobody_knows_asks_for_the_least(tmp_path):
    one = of_arrays(tmp_path / "arrays", 10)
    (subject,) = one.targets.names.subjects
    (tmp_path / "manifest.json").write_text('{"simulated": true}')
    entry = NsdEncoding.model_validate({"source": "nsd", "data": {"local": tmp_path / "nsd"}})
    nsd = replace(subject, entry=entry, subject="subj01")
    assert subject_shape(one.targets.study, nsd) is None
    assert preparation_memory.recordings_mb(one.targets.study, nsd) == RECORDINGS_MB


def test_a_pack_of_many_images_asks_for_their_listing(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    usual, large = of_data_set(tmp_path / "a", 1_281_167), of_data_set(tmp_path / "b", 14_197_122)
    assert usual.pack("large").mem_mb == PACK_MB and usual.pack("large").minutes == 720
    assert 4 * PACK_MB < large.pack("large").mem_mb < 5 * PACK_MB
    assert usual.pack("another").mem_mb == PACK_MB
