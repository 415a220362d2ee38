"""Architectures by name. Light: the Snakefile imports it, so no torch and no timm here."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from neuroscaling import errors
from neuroscaling.errors import Problem, StudyError
from neuroscaling.models.timm_table import PATH as TIMM_NAMES
from neuroscaling.models.torchvision_table import PATH as TORCHVISION_NAMES

ZOO = Path(__file__).with_name("zoo.yaml")
TORCHVISION = "torchvision."  # its models are named with this prefix, e.g. torchvision.convnext_tiny
OWN = "neuroscaling."  # before the names of networks that are written here, in the zoo's `timm_name`
# Families by the module of timm or torchvision that defines a model; others are called by that module's name.
FAMILIES = {
    "resnet": "ResNet",
    "resnetv2": "ResNet",
    "vision_transformer": "ViT",
    "deit": "ViT",
    "convnext": "ConvNeXt",
    "efficientnet": "EfficientNet",
    "swin_transformer": "Swin",
    "swin_transformer_v2": "Swin",
    "alexnet": "AlexNet",
    "vgg": "VGG",
    "densenet": "DenseNet",
}


@dataclass(frozen=True)
class Architecture:
    """How a network is built and what is read from it.

    input_size: pixels of each side; layers: candidates for regions, early to late, and readout: the layer that gives
    one vector an image; both empty for models that the zoo doesn't list (`layers.candidate_layers` and
    `layers.readout_layer` find theirs). timm_name: the name that builds it, of timm or, prefixed, of torchvision or of
    this package.
    """

    name: str
    family: str
    timm_name: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    input_size: int = 224
    layers: tuple[str, ...] = ()
    readout: str = ""


@dataclass(frozen=True)
class LibraryModel:
    """A line of timm_names.txt or torchvision_names.txt: module, input size, input size of each tag of weights."""

    module: str
    input_size: int
    tags: dict[str, int]


def architecture(name: str) -> Architecture:
    """The architecture `name`: of the zoo, any of timm's, or `torchvision.<name>`, with or without a tag of weights.

    Raises StudyError with the nearest name when there is none.
    """
    if name in _zoo():
        return _zoo()[name]
    base, tag = _split(name)
    model = _library().get(base)
    if model is None or (tag and tag not in model.tags):
        allowed = "names from `neuroscaling models`, any timm name, or torchvision.<name>"
        raise StudyError(Problem("unknown architecture", value=name, allowed=allowed, nearest=nearest(name)))
    size = model.tags[tag] if tag else model.input_size
    listed = _zoo().get(base)
    layers, readout = (listed.layers, listed.readout) if listed and listed.timm_name == base else ((), "")
    family = FAMILIES.get(model.module, model.module)
    return Architecture(name, family, name, input_size=size, layers=layers, readout=readout)


def known(name: str) -> bool:
    """Is there an architecture of this name?"""
    base, tag = _split(name)
    model = _library().get(base)
    return name in _zoo() or (model is not None and (not tag or tag in model.tags))


def names() -> list[str]:
    """Architectures of the zoo, in its order (timm's others are known too)."""
    return list(_zoo())


def nearest(name: str) -> str:
    """The known name that is written most like `name`: of the zoo, then of timm and torchvision, tags included."""
    base, _ = _split(name)
    if base in _library():
        return errors.nearest(name, [f"{base}.{tag}" for tag in _library()[base].tags]) or base
    if name.startswith(TORCHVISION):
        return errors.nearest(name, [known for known in _library() if known.startswith(TORCHVISION)])
    return errors.nearest(name, _zoo()) or errors.nearest(name, _library())


def family(name: str) -> str:
    """Family of the architecture `name`, e.g. `ResNet`."""
    return architecture(name).family


def layers(name: str) -> list[str]:
    """Candidate layers of `name`, early to late; empty for models that the zoo doesn't list."""
    return list(architecture(name).layers)


def definition(name: str) -> dict[str, Any]:
    """What determines a network of this name, for content hashes: equal definitions give equal networks."""
    arch = architecture(name)
    return {"timm_name": arch.timm_name, "kwargs": arch.kwargs, "input_size": arch.input_size}


@cache
def _zoo() -> dict[str, Architecture]:
    entries = yaml.safe_load(ZOO.read_text(encoding="utf-8"))
    return {
        name: Architecture(**{"name": name, **entry, "layers": tuple(entry["layers"])})
        for name, entry in entries.items()
    }


@cache
def _library() -> dict[str, LibraryModel]:
    """All models of timm, and those of torchvision under their prefixed names."""
    files = (("", TIMM_NAMES), (TORCHVISION, TORCHVISION_NAMES))
    return {
        f"{prefix}{name}": LibraryModel(module, int(size), _tags(tags, int(size)))
        for prefix, file in files
        for name, module, size, tags in _rows(file)
    }


def _rows(file: Path) -> list[list[str]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def _tags(text: str, input_size: int) -> dict[str, int]:
    pairs = [item.partition("@") for item in text.split(",") if item]
    return {tag: int(size) if size else input_size for tag, _, size in pairs}


def _split(name: str) -> tuple[str, str]:
    """Name of the model and tag of its weights."""
    prefix = TORCHVISION if name.startswith(TORCHVISION) else ""
    base, _, tag = name.removeprefix(prefix).partition(".")
    return prefix + base, tag
