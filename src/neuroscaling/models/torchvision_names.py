"""ConvNeXts and EfficientNets of torchvision name their tensors otherwise than timm's, which are built here.

The modules of both are the same, and the published layers of such networks are translated by one table
(`study/layer_choice.own_layer`); here it serves for the tensors.
"""

from collections.abc import Mapping

import torch

from neuroscaling.study.architectures import family_of
from neuroscaling.study.layer_choice import own_layer

TORCHVISION_MARK = "features.0.0.weight"
"""The first tensor of both families in torchvision."""
HEADS = {"ConvNeXt": ("classifier.2", "head.fc"), "EfficientNet": ("classifier.1", "classifier")}
"""The linear layer that gives the logits, in torchvision and in timm."""
SCALE = (".layer_scale", ".gamma")
"""The scale of a ConvNeXt's block: torchvision's has two more axes, of length 1."""
OUTPUT = ".drop"
"""In the table of layers, the module of timm that puts out what a normalisation does, before its activation."""


def names_from_torchvision(
    arch: str, tensors: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """`tensors` of torchvision's network under the names of timm's, and in its shapes; what has none keeps its own.

    own: the tensors of the network `arch`. Loading compares names and shapes, so another network is found out there.
    """
    theirs, ours = HEADS.get(family_of(arch).removesuffix("Flex"), ("", ""))
    found = {}
    for name, value in tensors.items():
        module, _, leaf = name.rpartition(".")
        if name.endswith(SCALE[0]):
            new = own_layer(arch, module) + SCALE[1]
        elif theirs and module == theirs:
            new = f"{ours}.{leaf}"
        else:
            new = f"{own_layer(arch, module).removesuffix(OUTPUT)}.{leaf}"
        expected = own.get(new)
        is_longer = expected is not None and value.shape == (*expected.shape, 1, 1)
        found[new] = value.reshape(value.shape[:-2]) if is_longer else value
    return found
