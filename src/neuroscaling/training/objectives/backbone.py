"""A network without its classifier: what self-supervised objectives train.

The classifier stays in the network, untrained, so that its weights load like any other's; but the network's output is
what the classifier was given.
"""

from typing import Any

from timm.layers import Format
from timm.models import VisionTransformer
from torch import Tensor, nn

from neuroscaling.errors import Problem, StudyError
from neuroscaling.models.heads import head_names


def as_backbone(network: nn.Module, arch: str) -> int:
    """Make `network` return the input of its classifier, (b, features); the number of features.

    The classifier is no longer trained. Raises StudyError for a network whose classifier is no linear layer.
    """
    heads = head_names(arch, network)
    classifier = network.get_submodule(heads[0]) if len(heads) == 1 else None
    if not isinstance(classifier, nn.Linear):
        what = "self-supervised training needs a network with one linear classifier"
        raise StudyError(Problem(what, arch, ", ".join(heads) or "none"))
    classifier.register_forward_hook(_input)
    classifier.requires_grad_(False)
    return classifier.in_features


def allow_any_size(network: nn.Module) -> None:
    """Let timm's vision transformers take images of other sizes, as timm's `dynamic_img_size` does.

    Embeddings of positions are resized (bicubic, antialiased) for them. At the size that the network was made for,
    outputs stay the same.
    """
    if isinstance(network, VisionTransformer) and not network.dynamic_img_size:
        network.dynamic_img_size = True
        network.patch_embed.strict_img_size = False
        network.patch_embed.flatten, network.patch_embed.output_fmt = False, Format.NHWC


def _input(classifier: nn.Module, given: tuple[Tensor, ...], output: Any) -> Tensor:
    return given[0].flatten(1)
