"""The settings of a data set are its section of the study file, key by key."""

import pytest
from pydantic import TypeAdapter

from neuroscaling.core.errors import DataError
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.study.sections.datasets import Dataset

SECTIONS = [
    {"format": "digits", "classes": 10},
    {"format": "imagefolder", "root": "images", "corrupt_limit": 2},
    {"format": "imagefolder", "root": "images", "train": "training", "validation": "validation"},
    {"format": "imagefolder", "root": "", "classes": 2, "images": 10},
    {"format": "filelist", "root": "images", "train": "train.txt", "validation": "val.txt", "class_names": "names.txt"},
    {"format": "places365", "root": "images", "size": "large"},
    {"format": "inaturalist", "root": "images", "version": "2021_train_mini"},
    {"format": "infimnist", "images": 50, "mnist": "mnist"},
    {"format": "webdataset", "train": "", "validation": "v.tar"},
    {"format": "idx", "root": None, "emnist": "letters", "class_names": "names.txt"},
    {"format": "cifar", "root": "images", "labels": "coarse"},
    {"format": "stl10", "root": "images"},
    {"format": "tiny-imagenet", "root": "images"},
    {"format": "parquet", "root": "", "train": "t-*.parquet", "validation": "v-*.parquet", "image_column": "img"},
    {"format": "our_lab.formats:TREE", "root": "images", "train": "t", "folders": {"train": "a"}},
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section["format"])
def test_settings_have_every_key_of_their_section_and_no_other(section: dict):
    read = TypeAdapter(Dataset).validate_python(section)
    settings = read.settings()
    # `optional` says which runs a study has, and nothing of the images.
    assert settings.content() == read.model_dump(mode="json", exclude={"optional"})
    assert DatasetSettings.of(settings.content()) == settings


def test_what_a_lab_names_like_a_key_of_ours_is_its_own():
    settings = DatasetSettings.of({"format": "our_lab.formats:TREE", "root": "", "images": 3, "train": "t"})
    assert (settings.root, settings.train, settings.images) == (None, None, 3)
    assert settings.own == {"root": "", "train": "t"}
    assert settings.is_given("train") and not settings.is_given("root")


def test_an_empty_key_that_is_needed_is_named():
    with pytest.raises(DataError, match="set `train:`"):
        DatasetSettings("webdataset", train="").needed("train")
