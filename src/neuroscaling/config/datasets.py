"""Which images: the data sets of a study (docs/datasets.md)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from neuroscaling.config.base import NamedPath, OptionalFolder, Section

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


class DigitsDataset(ImageDataset):
    """scikit-learn's 1,797 handwritten digits (10 classes), bundled with the package: no download."""

    example: ClassVar[str] = "{format: digits}"

    format: Literal["digits"] = Field(description="`digits`: scikit-learn's bundled handwritten digits.")


class ImageFolderDataset(ImageDataset):
    """A folder with `train/` and `val/`, one folder a class below each: ImageNet, EcoSet."""

    format: Literal["imagefolder"] = Field(description="`imagefolder`: `train/<class>/<image>`, `val/<class>/<image>`.")
    root: OptionalFolder = Field(description=ROOT)


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


Dataset = Annotated[
    DigitsDataset
    | ImageFolderDataset
    | FileListDataset
    | Places365Dataset
    | INaturalistDataset
    | InfiniteDigitsDataset
    | WebDataset,
    Field(discriminator="format"),
]
