"""Networks that no library has: flex families by name, and one's own by dotted path.

The module is found without being imported, so that a study is read in no time; `load_dotted` imports it.

Every number of a name is read, so that other widths and depths than the published ones have names too.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from neuroscaling.core.dotted_paths import DottedPath, find_path, load_path
from neuroscaling.core.errors import Problem, StudyError, nearest
from neuroscaling.core.hashing import file_sha256

DOTTED_FAMILY = "own"
INPUT_SIZE = 224
SIZE = re.compile("[1-9][0-9]{0,4}")
FORM = "package.module:function or package.module:function@SIZE, SIZE in pixels"


@dataclass(frozen=True)
class Dotted(DottedPath):
    """A function that builds a network, by its dotted path; input_size: pixels of each side of its images."""

    input_size: int = INPUT_SIZE


def is_dotted(name: str) -> bool:
    """Is this the dotted path of a function, and not the name of an architecture?"""
    return ":" in name


def find_dotted(name: str) -> Dotted:
    """The function that a dotted path names, without importing its module.

    Looked for where Python imports from, and in the current directory. Raises StudyError that says which part of the
    path is wrong or missing.
    """
    path, at, size = name.partition("@")
    if at and not SIZE.fullmatch(size):
        raise StudyError(Problem(what="not the dotted path of a function", value=name, allowed=FORM))
    found = find_path(path, "function", FORM, name)
    return Dotted(name, found.module, found.attribute, found.file, int(size) if at else INPUT_SIZE)


def dotted_sha256(name: str) -> str:
    """sha256 of the file of the module: an edited module makes other networks. What it imports is not followed."""
    return file_sha256(find_dotted(name).file)


def load_dotted(name: str) -> Callable[..., Any]:
    """The function, imported. Raises StudyError where that fails, or the function doesn't take `num_classes`."""
    found = find_dotted(name)
    function = load_path(found)
    if not callable(function):
        raise StudyError(Problem(what=f"`{found.attribute}` is not a function", where=str(found.file), value=name))
    try:
        inspect.signature(function).bind(num_classes=1000)
    except TypeError as error:
        what, allowed = f"the function can't be called: {error}", f"{found.attribute}(num_classes=...)"
        raise StudyError(Problem(what=what, where=str(found.file), value=name, allowed=allowed)) from error
    return function


def make_dotted(name: str, num_classes: int) -> Any:
    """The network with `num_classes` outputs. Raises StudyError where the function gives something else."""
    # A study is read without torch: only a job that builds a network loads it.
    from torch import nn

    model = load_dotted(name)(num_classes=num_classes)
    if not isinstance(model, nn.Module):
        what = f"the function gives `{type(model).__name__}`"
        raise StudyError(Problem(what=what, where=str(find_dotted(name).file), value=name, allowed="a torch.nn.Module"))
    return model


FLEX_FAMILIES = ("resnetflexfilters", "convnextflex", "deitflex")  # how their names start
FORMS = (
    "resnetflexfilters-f-START-STOP-N-I (twice ResNet-18's widths, divided by the I-th of N factors from START to "
    "STOP), resnetflexfilters_wr-SCALE-START-STOP-N-I (SCALE times, rounded to multiples of 8), "
    "resnetflexfilters-d-A-B-C-D (blocks of the four stages), convnextflex-l-I and deitflex-l-I (I from 0 to 3)"
)
STAGES = "1000 1001 1002 1010 1100 1110 1111 1112 1122 1222 2222"  # blocks, a digit each
PUBLISHED = (
    *(f"resnetflexfilters-f-1-16-20-{i}" for i in range(20)),
    *(f"resnetflexfilters_wr-4-1-2-4-{i}" for i in range(3)),
    *("-".join(["resnetflexfilters-d", *blocks]) for blocks in STAGES.split()),
    *(f"convnextflex-l-{i}" for i in range(4)),
    *(f"deitflex-l-{i}" for i in range(4)),
)
"""The names that were trained."""

FILTERS = (64, 64, 128, 256, 512)  # of ResNet-18: the stem, then the four stages
WIDTHS = (96, 192, 384, 768)  # of ConvNeXt-T
PATTERN = re.compile(r"(?:(resnetflexfilters)(?:-(f|d)|_(wr))|(convnextflex|deitflex)-(l))((?:-[0-9]{1,3})+)")


def is_flex(name: str) -> bool:
    """Does the name start as those of a flex family do?"""
    return name.startswith(FLEX_FAMILIES)


def flex_entry(name: str) -> dict[str, Any]:
    """How the network `name` is built and read, as an entry of the zoo.

    Raises StudyError for a name that starts as a flex family's and isn't one.
    """
    match = PATTERN.fullmatch(name)
    numbers = [int(number) for number in match[6].split("-")[1:]] if match else []
    kind = match and (match[2] or match[3] or match[5])
    if kind == "d" and len(numbers) == 4 and any(numbers):
        return _resnet(list(FILTERS), numbers)
    filters = _filters(kind, numbers)
    if filters and all(filters):
        return _resnet(filters, [2, 2, 2, 2])
    # The first factor, the full width, has no name.
    factor = _factor(1, 8, 5, numbers[0] + 1) if kind == "l" and len(numbers) == 1 and numbers[0] < 4 else None
    if match and factor is not None:
        return _convnext(factor) if match[4] == "convnextflex" else _vit(factor)
    raise StudyError(
        Problem(what="not a name of a flex family", value=name, allowed=FORMS, nearest=nearest(name, PUBLISHED))
    )


def _filters(kind: str | None, numbers: list[int]) -> list[int]:
    """Channels of the stem and the four stages; of `f` truncated, of `wr` rounded, as published."""
    if kind == "f" and (factor := _factor(*numbers)):
        return [int(width * 2 / factor) for width in FILTERS]
    if kind == "wr" and (factor := _factor(*numbers[1:])):
        return [_multiple(width * numbers[0] / factor, 8) for width in FILTERS]
    return []


def _factor(*numbers: int) -> float | None:
    """The i-th of n factors from start to stop, spaced evenly in their logarithm; None for numbers that give none."""
    if len(numbers) != 4 or 0 in numbers[:2] or not 0 <= numbers[3] < numbers[2]:
        return None
    start, stop, n, i = numbers
    return start * (stop / start) ** (i / (n - 1)) if i else float(start)


def _multiple(width: float, unit: int) -> int:
    return round(width / unit) * unit


def _resnet(filters: list[int], blocks: list[int]) -> dict[str, Any]:
    return {
        "family": "ResNetFlex",
        "timm_name": "neuroscaling.flex_resnet",
        "kwargs": {"filters": filters, "blocks": blocks},
        "layers": ["relu", *_numbered("layer{}.{}", blocks, first=1)],
        "readout": "flatten",
    }


def _convnext(factor: float) -> dict[str, Any]:
    return {
        "family": "ConvNeXtFlex",
        "timm_name": "convnext_tiny",
        "kwargs": {"dims": [_multiple(width / factor, 8) for width in WIDTHS]},
        "layers": list(_numbered("stages.{}.blocks.{}", [3, 3, 9, 3], first=0)),
        "readout": "head.flatten",
    }


def _vit(factor: float) -> dict[str, Any]:
    return {
        "family": "ViTFlex",
        "timm_name": "deit3_small_patch16_224",
        "kwargs": {"embed_dim": _multiple(384 / factor, 6), "init_values": 1e-4},
        "layers": [f"blocks.{i}" for i in range(12)],
        "readout": "fc_norm",
    }


def _numbered(name: str, blocks: list[int], first: int) -> Iterator[str]:
    for stage, n in enumerate(blocks, start=first):
        yield from (name.format(stage, i) for i in range(n))
