"""Networks from names: freshly initialised, or shapes alone."""

import warnings

import timm
import torch
from torch import nn

from neuroscaling.models.names import OWN, TORCHVISION, Architecture, architecture
from neuroscaling.models.one_peace.model import OnePeaceVision


def build(arch: str, num_classes: int, seed: int) -> nn.Module:
    """A network of architecture `arch` with `num_classes` outputs, initialised from `seed`, on the CPU.

    Equal arguments give equal weights; the global random state is left as it was. Raises StudyError for an unknown
    architecture.
    """
    definition = architecture(arch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create(definition, num_classes)


def skeleton(arch: str, num_classes: int = 1000) -> nn.Module:
    """The network on torch's meta device: shapes without numbers, in a moment and without memory."""
    definition = architecture(arch)
    try:
        with torch.device("meta"):
            return create(definition, num_classes)
    except NotImplementedError:  # torchvision's RegNets compute their widths with tensors
        return create(definition, num_classes).to("meta")


def classifier_name(model: nn.Module) -> str:
    """Name of the module that gives the logits: timm knows it; in torchvision it is the last linear one."""
    if hasattr(model, "get_classifier"):
        classifier = model.get_classifier()
        return next((name for name, module in model.named_modules() if module is classifier), "")
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else ""


def create(definition: Architecture, num_classes: int) -> nn.Module:
    """The network of a definition, on the device and from the random state that are set; 0 classes: without a head."""
    name = definition.timm_name
    if name.startswith(OWN):
        return OnePeaceVision(num_classes, **definition.kwargs)
    if not name.startswith(TORCHVISION):
        return timm.create_model(name, pretrained=False, num_classes=num_classes, **definition.kwargs)
    from torchvision.models import get_model

    with warnings.catch_warnings():  # of inception and googlenet, on how their weights are initialised
        warnings.simplefilter("ignore", FutureWarning)
        return get_model(name.split(".")[1], weights=None, num_classes=num_classes, **definition.kwargs)
