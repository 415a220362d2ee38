"""The lines of the page on data sets work as they stand: a study that has them all is read and draws nested subsets."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from neuroscaling.core.errors import StudyError
from neuroscaling.datasets import format_idx, formats
from neuroscaling.datasets.format_idx import IDX
from neuroscaling.datasets.index import load_index, open_source
from neuroscaling.datasets.split import Package
from neuroscaling.datasets.subset_sampling import draw_token
from neuroscaling.study.loaded_study import load_study
from tests.support.image_files import (
    encoded,
    random_pixels,
    write_cifar10_python,
    write_idx_files,
    write_parquet,
    write_stl10,
    write_tiny_imagenet,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"
LINE = re.compile(r"\| `(\w+): (\{format: .*\})` \|$")
TWO_EACH = [1, 0, 2, 3, 0, 1, 3, 2]


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Small files of every data set that the page names, where its lines look for them."""
    package = Package(str(tmp_path / "fashion"), "apt-get install it")
    monkeypatch.setattr(format_idx, "FASHION_MNIST", package)
    monkeypatch.setitem(formats.FORMATS, "idx", replace(IDX, package=package))
    write_idx_files(tmp_path / "fashion", TWO_EACH, packed=True)
    write_idx_files(tmp_path / "kmnist" / "KMNIST" / "raw", TWO_EACH)
    letters = list(range(1, 27)) * 2
    write_idx_files(
        tmp_path / "emnist" / "EMNIST" / "raw", letters, prefixes=("emnist-letters-train", "emnist-letters-test")
    )
    write_cifar10_python(tmp_path / "cifar", random_pixels(8, 32), TWO_EACH, random_pixels(4, 32), [0, 1, 2, 3])
    write_stl10(tmp_path / "stl", random_pixels(6, 96), [1, 2, 3, 3, 2, 1])
    write_tiny_imagenet(tmp_path / "tiny", ["n01", "n02"])
    for split, part in (("train", "00000-of-00001"), ("validation", "00000-of-00001")):
        path = tmp_path / "hub" / "data" / f"{split}-{part}.parquet"
        write_parquet(path, [encoded(i) for i in range(4)], [0, 1, 1, 0], names=["tench", "goldfish"])
    for split in ("train", "val", "validation"):
        for name in "ab":
            for i in range(2):
                path = tmp_path / "folders" / split / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encoded(i, "PNG"))
    places = {"KMNIST_ROOT": "kmnist", "EMNIST_ROOT": "emnist", "CIFAR_ROOT": "cifar", "STL10_ROOT": "stl"}
    places |= {"TINY_ROOT": "tiny", "IMAGENET_HUB": "hub", "IMAGENET_ROOT": "folders"}
    for variable, folder in places.items():
        monkeypatch.setenv(variable, str(tmp_path / folder))
    return tmp_path


def test_every_line_of_the_page_is_a_data_set(images):
    lines = [match for line in PAGE.read_text().splitlines() if (match := LINE.search(line))]
    assert {re.search(r"format: ([\w-]+)", match[2])[1] for match in lines} == {
        "idx", "cifar", "stl10", "tiny-imagenet", "parquet", "imagefolder"
    }  # fmt: skip
    named = {f"d{i}-{match[1]}": match[2].replace("FOLDER", f"{images}/folders") for i, match in enumerate(lines)}
    datasets = "".join(f"  {name}: {line}\n" for name, line in named.items())
    text = f"study: s\nstore: {images}/store\ndatasets:\n{datasets}"
    group = f"archs: [resnet_w8], recipe: digits, datasets: [{', '.join(named)}], samples_per_class: [1, 2], seeds: [0]"
    (images / "study.yaml").write_text(f"{text}runs: [{{{group}}}]\n")
    study = load_study(images / "study.yaml")
    assert len(study.runs) == 2 * len(named)
    for name, dataset in study.config.datasets.items():
        index = load_index(name, dataset.settings(), "train", study.fingerprints[name])
        few, more = (set(draw_token(index, token, 0).tolist()) for token in ("1", "2"))
        assert few < more and 2 * len(few) == len(more)
        image = open_source(name, dataset.settings(), "validation", study.fingerprints[name]).decoded(0)
        assert image.ndim == 3 and image.shape[2] == 3


def test_a_format_that_is_misspelt_has_its_nearest(tmp_path):
    group = "archs: [resnet_w8], recipe: digits, datasets: [a], samples_per_class: [1]"
    dataset = "a: {format: ixd, classes: 10, images: 60000}"
    text = f"study: s\nstore: {tmp_path}/store\ndatasets: {{{dataset}}}\nruns: [{{{group}}}]\n"
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(StudyError) as raised:
        load_study(tmp_path / "study.yaml")
    assert "nearest:  idx" in str(raised.value) and "digits, imagefolder" in str(raised.value)
