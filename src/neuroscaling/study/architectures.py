"""Architectures by name: the zoo, timm's and torchvision's, known without importing either library.

`NAME@SIZE` is the network NAME with images of SIZE pixels.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from neuroscaling.core import errors
from neuroscaling.core.errors import Problem, StudyError
from neuroscaling.study import own_networks
from neuroscaling.study.own_networks import SIZE

ZOO = Path(__file__).with_name("zoo.yaml")
TORCHVISION = "torchvision."  # its models are named with this prefix, e.g. torchvision.convnext_tiny
OWN = "neuroscaling."  # before the names of networks that are written here, in the zoo's `timm_name`
ONE_PEACE = f"{OWN}one_peace_vision"  # the one of these with published weights
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
    this package; or the dotted path of a function.
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
    """A line of timm_names.txt or torchvision_names.txt: module, input size, input size of each tag of weights.

    The first tag is the one that a name without a tag stands for.
    """

    module: str
    input_size: int
    tags: dict[str, int]


def architecture(name: str) -> Architecture:
    """The architecture `name`: of the zoo, of a flex family, any of timm's, `torchvision.<name>`, or a dotted path.

    Names of timm and torchvision may have a tag of weights, and all may end in `@` and the side of their images in
    pixels. Raises StudyError with the nearest name when there is none.
    """
    base, size = _sized(name)
    return replace(_of_its_own_size(base), name=name, input_size=size) if size else _of_its_own_size(name)


def _of_its_own_size(name: str) -> Architecture:
    if name in _zoo():
        return _zoo()[name]
    if own_networks.is_flex(name):
        return _entry(name, own_networks.flex_entry(name))
    if own_networks.is_dotted(name):
        return Architecture(
            name, own_networks.DOTTED_FAMILY, name, input_size=own_networks.find_dotted(name).input_size
        )
    base, tag = _split(name)
    model = _library().get(base)
    if model is None or (tag and tag not in model.tags):
        allowed = (
            "names from `neuroscaling models`, any timm name, torchvision.<name>, or package.module:function; each may "
            "end in @SIZE, in pixels"
        )
        raise StudyError(
            Problem(what="unknown architecture", value=name, allowed=allowed, nearest=nearest_architecture(name))
        )
    size = model.tags[tag] if tag else model.input_size
    listed = _zoo().get(base)
    layers, readout = (listed.layers, listed.readout) if listed and listed.timm_name == base else ((), "")
    family = FAMILIES.get(model.module, model.module)
    return Architecture(name, family, name, input_size=size, layers=layers, readout=readout)


def is_architecture(name: str) -> bool:
    """Is there an architecture of this name?"""
    return not architecture_problems(name)


def architecture_problems(name: str) -> list[Problem]:
    """What is wrong with the name of an architecture; nothing where there is one."""
    try:
        architecture(name)
    except StudyError as error:
        return error.problems
    return []


def in_library(name: str) -> bool:
    """Is this a name of timm's or, prefixed, of torchvision's? Only these have weights to fetch."""
    return _split(name)[0] in _library()


def without_size(name: str) -> str:
    """The name of the network that `name` shows images of another size to: weights are the same at every size."""
    return _sized(name)[0]


def without_tag(name: str) -> str:
    """The network of timm's or torchvision's that a name with a tag of weights stands for; others as they are."""
    base, tag = _split(name)
    return base if tag and base in _library() and name == architecture(name).timm_name else name


def with_tag(name: str) -> str:
    """The full name, with a tag, of the weights of timm or torchvision that `name` stands for; without one as it is."""
    found = architecture(name).timm_name
    base, tag = _split(found)
    listed = _library().get(base)
    return found if tag or listed is None or not listed.tags else f"{base}.{next(iter(listed.tags))}"


def all_published_weights() -> list[str]:
    """Full names of all weights of timm and torchvision, and names of timm's networks that have none with a tag."""
    tagged = [f"{name}.{tag}" for name, model in _library().items() for tag in model.tags]
    return tagged + [n for n, model in _library().items() if not model.tags and not n.startswith(TORCHVISION)]


def architecture_names() -> list[str]:
    """Architectures of the zoo, in its order, then the published ones of the flex families (others are known too)."""
    return [*_zoo(), *own_networks.PUBLISHED]


def nearest_architecture(name: str) -> str:
    """The known name that is written most like `name`: of the zoo, then of timm and torchvision, tags included."""
    base, at, size = name.partition("@")
    near = base if at and is_architecture(base) else _nearest(base)
    return f"{near}@{size}" if near and SIZE.fullmatch(size) else near


def _nearest(name: str) -> str:
    base, _ = _split(name)
    if base in _library():
        return errors.nearest(name, [f"{base}.{tag}" for tag in _library()[base].tags]) or base
    if name.startswith(TORCHVISION):
        return errors.nearest(name, [known for known in _library() if known.startswith(TORCHVISION)])
    return errors.nearest(name, architecture_names()) or errors.nearest(name, _library())


def family_of(name: str) -> str:
    """Family of the architecture `name`, e.g. `ResNet`."""
    return architecture(name).family


def all_families() -> set[str]:
    """Every family that an architecture may be of, and that of no network."""
    listed = {arch.family for arch in _zoo().values()} | {
        own_networks.flex_entry(name)["family"] for name in own_networks.PUBLISHED
    }
    library = {FAMILIES.get(model.module, model.module) for model in _library().values()}
    return listed | library | {own_networks.DOTTED_FAMILY, "baseline"}


def candidate_layers(name: str) -> list[str]:
    """Candidate layers of `name`, early to late; empty for models that the zoo doesn't list."""
    return list(architecture(name).layers)


def architecture_definition(name: str) -> dict[str, Any]:
    """What determines a network of this name, for content hashes: equal definitions give equal networks."""
    arch = architecture(name)
    source = {"source": own_networks.dotted_sha256(name)} if own_networks.is_dotted(arch.timm_name) else {}
    return {"timm_name": arch.timm_name, "kwargs": arch.kwargs, "input_size": arch.input_size, **source}


@cache
def _zoo() -> dict[str, Architecture]:
    entries = yaml.safe_load(ZOO.read_text(encoding="utf-8"))
    return {name: _entry(name, entry) for name, entry in entries.items()}


def _entry(name: str, entry: dict[str, Any]) -> Architecture:
    return Architecture(**{"name": name, **entry, "layers": tuple(_layers(entry["layers"]))})


def _layers(written: Iterable[str]) -> Iterator[str]:
    """Layers as the zoo writes them: `blocks.{0..11}` stands for twelve."""
    for layer in written:
        span = re.search(r"\{(\d+)\.\.(\d+)\}", layer)
        if span:
            yield from (layer.replace(span[0], str(i)) for i in range(int(span[1]), int(span[2]) + 1))
        else:
            yield layer


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


def _sized(name: str) -> tuple[str, int]:
    """What stands before the `@` of a name, and the size behind it; 0 where none is, or the name reads its own."""
    base, _, size = name.partition("@")
    return (base, int(size)) if base and SIZE.fullmatch(size) and not own_networks.is_dotted(name) else (name, 0)


def _split(name: str) -> tuple[str, str]:
    """Name of the model and tag of its weights."""
    name, _ = _sized(name)
    prefix = TORCHVISION if name.startswith(TORCHVISION) else ""
    base, _, tag = name.removeprefix(prefix).partition(".")
    return prefix + base, tag


TIMM_NAMES = Path(__file__).with_name("timm_names.txt")

TORCHVISION_NAMES = Path(__file__).with_name("torchvision_names.txt")
