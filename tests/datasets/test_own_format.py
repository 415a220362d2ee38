"""A data set in a format of a lab's own: a module beside the study defines it, and no file of this package changes."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroscaling.core.errors import StudyError
from neuroscaling.datasets.formats import own_format
from neuroscaling.datasets.index import load_index, open_source
from neuroscaling.datasets.subset_file import read_subset, write_subset
from neuroscaling.datasets.subset_sampling import draw_token
from neuroscaling.study.artefact_names import subset_name
from neuroscaling.study.loaded_study import LoadedStudy, load_study

MODULE = """
import os
from pathlib import Path

import numpy as np

from neuroscaling.core.errors import DataError
from neuroscaling.core.errors import Problem
from neuroscaling.datasets.split import FileSource
from neuroscaling.datasets.split import Format
from neuroscaling.datasets.split import Split


def folder(settings, split):
    found = Path(settings.own["root"]) / settings.own["folders"][split]
    if not found.is_dir():
        raise DataError(Problem(what="folder is missing", where=str(found), fix="check `folders:`"))
    return found


def state(settings, split):
    return os.stat(folder(settings, split)).st_mtime_ns


def read(settings, split, train_classes):
    names = sorted(os.listdir(folder(settings, split)))
    labels = [name.partition("-")[0] for name in names]
    classes = sorted(set(labels)) if split == "train" else train_classes()
    return Split(names, np.array([classes.index(label) for label in labels], np.int64), classes)


def source(settings, index, split):
    return FileSource(index, folder(settings, index.split))


FLAT = Format(state, read, source, root="root")
HALF = Format(state, read, source, "no function")
"""
STUDY = """
study: s
store: {folder}/store
datasets: {{ours: {{format: "{path}", root: "{root}", folders: {{train: training, validation: held_out}}}}}}
runs: [{{archs: [resnet_w8], recipe: digits, datasets: [ours], samples_per_class: [2, all], seeds: [0]}}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Images of two classes in one folder a split, and the module that reads them, in the current directory."""
    (tmp_path / "ourlab").mkdir()
    (tmp_path / "ourlab" / "formats.py").write_text(MODULE)
    for split, n in (("training", 3), ("held_out", 1)):
        (tmp_path / "images" / split).mkdir(parents=True)
        for label, name in enumerate(("cat", "dog")):
            for i in range(n):
                pixels = np.full((8, 8, 3), 40 * label + i, np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / split / f"{name}-{i}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    own_format.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "ourlab"]:
        del sys.modules[name]


def study_of(folder: Path, path: str = "ourlab.formats:FLAT", root: str | None = None) -> LoadedStudy:
    file = folder / "study.yaml"
    file.write_text(STUDY.format(folder=folder, path=path, root=folder / "images" if root is None else root))
    return load_study(file)


def test_a_study_has_its_images_in_its_run_table_and_in_its_subsets(folder):
    study = study_of(folder)
    runs = [run for run in study.runs.values() if run.dataset == "ours"]
    assert {run.samples_per_class for run in runs} == {2, "all"}
    settings = study.config.datasets["ours"].settings()
    assert settings.own["folders"] == {"train": "training", "validation": "held_out"}
    index = load_index("ours", settings, "train", study.fingerprints["ours"])
    assert index.class_names == ["cat", "dog"] and index.image_ids[0] == "cat-0.png"
    name = subset_name(next(run for run in runs if run.samples_per_class == 2))
    subset = folder / f"{name}.parquet"
    write_subset(subset, index, draw_token(index, "2", 0), "2", 0, dict(name.definition))
    assert sorted(read_subset(subset)[0]["label"].tolist()) == [0, 0, 1, 1]
    source = open_source("ours", settings, "validation", index.fingerprint)
    assert source.decoded(1)[0, 0].tolist() == [40, 40, 40]


def test_its_fingerprint_follows_its_images(folder):
    before = study_of(folder).fingerprints["ours"]
    Image.new("RGB", (8, 8)).save(folder / "images" / "training" / "dog-0.png")
    os.utime(folder / "images" / "training" / "dog-0.png", ns=(1, 1))  # a date that differs for certain
    assert study_of(folder).fingerprints["ours"] != before


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("ourlab.formats:FLATT", r"no format `FLATT` in this module[\s\S]*nearest: +FLAT"),
        ("ourlab.format:FLAT", r"no module `ourlab\.format`[\s\S]*PYTHONPATH"),
        ("ourlab.formats:read", r"`read` is no data set format but `function`[\s\S]*docs/extending\.md"),
        ("ourlab.formats:HALF", r"parts are no functions[\s\S]*found: +problems"),
        ("ourlab.formats:", r"datasets\.ours\.format"),
    ],
)
def test_a_path_that_leads_to_no_format_is_refused_with_its_place(folder, path, message):
    with pytest.raises(StudyError, match=message) as caught:
        study_of(folder, path)
    assert "study.yaml" in str(caught.value)


def test_what_lacks_a_part_names_it(folder):
    (folder / "ourlab" / "formats.py").write_text(
        MODULE.replace("Format(state, read, source, r", "Format(state, read, r")
    )
    with pytest.raises(StudyError, match=r"can't be imported: TypeError[\s\S]*'source'"):
        study_of(folder)


def test_a_missing_folder_is_the_problem_of_the_format_itself(folder):
    with pytest.raises(StudyError, match=r"folder is missing[\s\S]*nowhere"):
        study_of(folder, root=str(folder / "nowhere"))
    with pytest.raises(StudyError, match=r"it is not said where the images are[\s\S]*OURS_ROOT"):
        study_of(folder, root="")
