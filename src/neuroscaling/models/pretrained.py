"""Networks with published weights: fetched by timm or torchvision, or read from a file."""

from pathlib import Path

import timm
from torch import nn

from neuroscaling.errors import DataError, Problem
from neuroscaling.models import names
from neuroscaling.models.build import seeded
from neuroscaling.models.checkpoints import build_with
from neuroscaling.models.names import TORCHVISION, architecture
from neuroscaling.models.plain import plain
from neuroscaling.models.published_weights import require_published
from neuroscaling.models.weight_files import require_sha256, weights_file, weights_problems


def build_pretrained(arch: str, weights: Path | None = None, sha256: str | None = None) -> nn.Module:
    """A network with published weights: from the file `weights`, or fetched by timm or torchvision.

    arch: usually with the tag of the weights, e.g. `resnet18.a1_in1k`, `torchvision.resnet18.IMAGENET1K_V1`. weights:
    safetensors or what torch.save wrote, under this package's or timm's names or those of the original checkpoint,
    with or without a classifier; `weight_files.weights_file` says where else it is looked for. sha256: what the run's
    name says of the file. Raises DataError when the weights can't be had, don't fit, or are those of another file.
    """
    if weights is not None:
        file = weights_file(weights, arch) or weights
        if sha256 is not None:
            require_sha256(file, sha256)
        return build_with(arch, file)
    if problems := weights_problems(arch, None):
        raise DataError(problems)
    require_published(arch)
    try:
        with seeded(0):  # of what the weights don't hold
            return plain(_published(names.with_tag(arch)), arch)
    except Exception as error:  # a hub client raises errors of many libraries
        raise DataError(
            Problem(
                f"published weights can't be fetched ({type(error).__name__}: {str(error).splitlines()[0][:200]})",
                value=arch,
                fix="without a network, put <name>.safetensors into a folder and name it with `weights:` in the study",
            )
        ) from error


def published_classes(arch: str) -> int:
    """Outputs of the head that the published weights of a timm name have (of CLIP's: the width of its projection)."""
    config = timm.get_pretrained_cfg(architecture(arch).timm_name, allow_unregistered=True)
    return config.num_classes if config else 0


def _published(name: str) -> nn.Module:
    if not name.startswith(TORCHVISION):
        return timm.create_model(name, pretrained=True)
    from torchvision.models import get_model

    _, base, *tag = name.split(".")
    return get_model(base, weights=tag[0] if tag else "DEFAULT")
