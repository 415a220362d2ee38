"""EfficientNets of the package EfficientNet-PyTorch name their tensors otherwise than timm's.

Names of both: github.com/lukemelas/EfficientNet-PyTorch (`_blocks.3._expand_conv.weight`) and timm
(`blocks.2.0.conv_pw.weight`). Blocks are in one order in both, and timm numbers them within stages.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")
MARK = "_conv_stem.weight"
"""A name that EfficientNet-PyTorch has and timm has not."""
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
    **SQUEEZE,
}
SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2", **SQUEEZE}
"""Modules of a block that widens its input first, and of one that does not."""
IN_BLOCK = re.compile(r"_blocks\.([0-9]+)\.(_[a-z_0-9]+)\.([a-z_]+)")
OUT_OF_BLOCKS = re.compile(r"(_[a-z_0-9]+)\.([a-z_]+)")
BLOCK = re.compile(r"(blocks\.[0-9]+\.[0-9]+)\.")


def timm_names(tensors: Mapping[str, T], own: Iterable[str]) -> dict[str, T]:
    """`tensors` of an EfficientNet-PyTorch checkpoint under timm's names; what has none keeps its own.

    own: names of the network's tensors in the order of its modules. Loading compares names and shapes, so a network of
    other blocks is found out there.
    """
    blocks = list(dict.fromkeys(match[1] for name in own if (match := BLOCK.match(name))))
    expanding = {match[1] for name in tensors if (match := IN_BLOCK.fullmatch(name)) and match[2] == "_expand_conv"}
    return {_renamed(name, blocks, expanding): value for name, value in tensors.items()}


def _renamed(name: str, blocks: list[str], expanding: set[str]) -> str:
    if match := IN_BLOCK.fullmatch(name):
        number, module, tensor = match.groups()
        modules = EXPANDING if number in expanding else SEPARABLE
        known = module in modules and int(number) < len(blocks)
        return f"{blocks[int(number)]}.{modules[module]}.{tensor}" if known else name
    if (match := OUT_OF_BLOCKS.fullmatch(name)) and match[1] in OUTSIDE:
        return f"{OUTSIDE[match[1]]}.{match[2]}"
    return name
