"""Sections of the study file about data sets of images, one for each format."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from neuroscaling.datasets.settings import DatasetSettings, is_own_format
from neuroscaling.study.sections.key_types import DOTTED, NamedPath, OptionalFolder, Section, Text

ROOT = "The folder that holds it. Empty (`${IMAGENET_ROOT:-}` where it is unset): the study can be planned, not run."
OptionalCount = Annotated[int, Field(ge=1)] | None


class ImageDataset(Section):
    """What every format has."""

    example: ClassVar[str] = "{format: imagefolder, root: FOLDER}"

    classes: OptionalCount = Field(None, description="Number of classes; another number than that is an error.")
    images: OptionalCount = Field(None, description="Number of training images; another number than that is an error.")
    corrupt_limit: int = Field(
        0,
        ge=0,
        description="Images that can't be decoded which a run replaces by others; with one more it is refused.",
    )
    optional: bool = Field(
        False,
        description="Whether its runs, and fits of it alone, are left out where its images are not here: no root, or "
        "a folder that is missing or empty. Each start says so.",
    )

    def settings(self) -> DatasetSettings:
        """What functions that list and read its images are given."""
        return DatasetSettings.of(self.model_dump(mode="json", exclude={"optional"}))


class DigitsDataset(ImageDataset):
    """scikit-learn's 1,797 handwritten digits (10 classes), bundled with the package: no download."""

    example: ClassVar[str] = "{format: digits}"

    format: Literal["digits"] = Field(description="`digits`: scikit-learn's bundled handwritten digits.")


class ImageFolderDataset(ImageDataset):
    """A folder with `train/` and `val/`, one folder a class below each: ImageNet, EcoSet."""

    format: Literal["imagefolder"] = Field(description="`imagefolder`: `train/<class>/<image>`, `val/<class>/<image>`.")
    root: OptionalFolder = Field(description=ROOT)
    train: NamedPath | None = Field(None, description="Folder of the training images, below `root`; None: `train`.")
    validation: NamedPath | None = Field(None, description="Folder of the validation images; None: `val`.")


class FileListDataset(ImageDataset):
    """Images anywhere below a folder, named by two lists: ImageNet-21k-P, WebVision."""

    format: Literal["filelist"] = Field(description="`filelist`: lists with a line `path label` for each image.")
    root: OptionalFolder = Field(description=f"{ROOT} The lists' paths are relative to it.")
    train: NamedPath = Field(description="List of the training images, below `root` unless it begins with `/`.")
    validation: NamedPath = Field(description="List of the validation images.")
    class_names: NamedPath | None = Field(
        None, description="File with a class name a line; labels that are numbers count its lines from 0."
    )


class Places365Dataset(ImageDataset):
    """Places365-Standard as torchvision stores it: `places365_train_standard.txt`, `data_256_standard/`, ..."""

    format: Literal["places365"] = Field(description="`places365`: torchvision's layout.")
    root: OptionalFolder = Field(description=ROOT)
    size: Literal["small", "large"] = Field("small", description="`small`: 256 x 256 pixels; `large`: as photographed.")


class INaturalistDataset(ImageDataset):
    """iNaturalist 2021 as torchvision stores it: `2021_train/<category>/`, `2021_valid/<category>/`."""

    format: Literal["inaturalist"] = Field(description="`inaturalist`: torchvision's layout of 2021.")
    root: OptionalFolder = Field(description=ROOT)
    version: Literal["2021_train", "2021_train_mini"] = Field("2021_train", description="Folder of training images.")


class InfiniteDigitsDataset(ImageDataset):
    """Digits deformed on the fly, as many as wanted (not the images that the InfiMNIST program makes)."""

    format: Literal["infimnist"] = Field(description="`infimnist`: handwritten digits, deformed on the fly.")
    images: int = Field(1_200_000, ge=1, le=9_999_999, description="Number of training images.")
    mnist: OptionalFolder = Field(
        None, description="Folder with MNIST's four idx files; without it, scikit-learn's digits are deformed."
    )


class WebDataset(ImageDataset):
    """Tar shards with a `<key>.jpg` and a `<key>.cls` for each image."""

    format: Literal["webdataset"] = Field(description="`webdataset`: tar shards.")
    train: str = Field(description="Training shards: a path with `{0000..0009}` or `*`. Empty: as an empty root.")
    validation: str = Field(description="Validation shards.")
    class_names: NamedPath | None = Field(
        None, description="File with a class name a line; labels that are numbers count its lines from 0."
    )


class IdxDataset(ImageDataset):
    """The idx files of MNIST, Fashion-MNIST, KMNIST or EMNIST, packed by gzip or not."""

    example: ClassVar[str] = "{format: idx, root: FOLDER}"

    format: Literal["idx"] = Field(description="`idx`: images and labels in idx files; the test images validate.")
    root: OptionalFolder = Field(
        None,
        description="The folder that holds the files, or torchvision's folder above it. Empty: Debian's package "
        "`dataset-fashion-mnist` where it is installed; else the study can be planned, not run.",
    )
    emnist: Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"] | None = Field(
        None, description="Which of EMNIST's six sets; its images, stored turned, are turned upright."
    )
    class_names: NamedPath | None = Field(None, description="File with a class name a line; by default numbers.")


class CifarDataset(ImageDataset):
    """CIFAR-10 or CIFAR-100, the binary version or the one for Python."""

    format: Literal["cifar"] = Field(description="`cifar`: batches of CIFAR; the test images validate.")
    root: OptionalFolder = Field(description=f"{ROOT} Or the folder above it.")
    labels: Literal["fine", "coarse"] = Field("fine", description="Of CIFAR-100: 100 classes or 20.")


class Stl10Dataset(ImageDataset):
    """STL-10's labelled images, in its binary files."""

    format: Literal["stl10"] = Field(description="`stl10`: `stl10_binary/*.bin`; the test images validate.")
    root: OptionalFolder = Field(description=f"{ROOT} Or the folder above it.")


class TinyImageNetDataset(ImageDataset):
    """Tiny ImageNet as it is unpacked: `train/<class>/images/`, `val/images/`, `val/val_annotations.txt`."""

    format: Literal["tiny-imagenet"] = Field(description="`tiny-imagenet`: `tiny-imagenet-200/` as it is unpacked.")
    root: OptionalFolder = Field(description=f"{ROOT} Or the folder above it.")


class ParquetDataset(ImageDataset):
    """Parquet files with images and labels, as the Hugging Face hub has them: ImageNet-1k."""

    format: Literal["parquet"] = Field(description="`parquet`: the hub's image shards.")
    root: OptionalFolder = Field(description=ROOT)
    train: Text | None = Field(
        None, description="Training files below `root`, with `*` or `{00000..00293}`; None: `data/train-*.parquet`."
    )
    validation: Text | None = Field(None, description="Validation files; None: `data/validation-*.parquet`.")
    image_column: Text = Field("image", description="Column of the images: their files' bytes.")
    label_column: Text = Field("label", description="Column of the labels: whole numbers that count from 0, or names.")
    class_names: NamedPath | None = Field(
        None, description="File with a class name a line; by default the names in the files' schema, else numbers."
    )


class OwnDataset(ImageDataset):
    """Images in a format of one's own, which a module outside this package defines (docs/extending.md).

    All further keys are settings of the format, and are given to it as they stand.
    """

    model_config = ConfigDict(extra="allow")
    example: ClassVar[str] = "{format: our_lab.formats:TREE, root: FOLDER}"

    format: Annotated[str, Field(pattern=DOTTED, max_length=1000)] = Field(
        description="`package.module:NAME`: the dotted path of the format."
    )


def _whose_format(value: Any) -> str:
    """The branch of the union: a dotted path has a colon, the names of the formats that are listed here have none."""
    given = value.get("format") if isinstance(value, dict) else getattr(value, "format", None)
    return "<own>" if is_own_format(given) else "<listed>"


ListedDataset = Annotated[
    DigitsDataset
    | ImageFolderDataset
    | FileListDataset
    | Places365Dataset
    | INaturalistDataset
    | InfiniteDigitsDataset
    | WebDataset
    | IdxDataset
    | CifarDataset
    | Stl10Dataset
    | TinyImageNetDataset
    | ParquetDataset,
    Field(discriminator="format"),
]
Dataset = Annotated[
    Annotated[ListedDataset, Tag("<listed>")] | Annotated[OwnDataset, Tag("<own>")], Discriminator(_whose_format)
]
