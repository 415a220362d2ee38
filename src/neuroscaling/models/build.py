"""Networks from names: freshly initialised, or shapes alone."""

import warnings

import timm
import torch
from torch import nn

from neuroscaling.models import dotted
from neuroscaling.models.cornet_s import CORnetS
from neuroscaling.models.drop_path import equal_rates, has_drop_path, with_drop_path, without_depth
from neuroscaling.models.flex_resnet import FlexResNet
from neuroscaling.models.names import ONE_PEACE, OWN, TORCHVISION, Architecture, architecture
from neuroscaling.models.one_peace.model import OnePeaceVision

WRITTEN_HERE = {ONE_PEACE: OnePeaceVision, f"{OWN}cornet_s": CORnetS, f"{OWN}flex_resnet": FlexResNet}


def build(arch: str, num_classes: int, seed: int, drop_path: float = 0.0, drop_path_form: str = "linear") -> nn.Module:
    """A network of architecture `arch` with `num_classes` outputs, initialised from `seed`, on the CPU.

    drop_path: share of images for which a block is left out in training (stochastic depth, Huang et al. 2016), of the
    last block where drop_path_form is `linear` (rising from 0 at the first), of each where it is `constant`; 0 for what
    the architecture has by itself. Equal arguments give equal weights; the global random state is left as it was.
    Raises StudyError for an unknown architecture, or one that has no stochastic depth.
    """
    definition = architecture(arch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if not drop_path:
            return create(definition, num_classes)
        model = _create_with_drop_path(definition, num_classes, drop_path)
    return equal_rates(model, drop_path) if drop_path_form == "constant" else model


def skeleton(arch: str, num_classes: int = 1000) -> nn.Module:
    """The network on torch's meta device: shapes without numbers, in a moment and without memory."""
    definition = architecture(arch)
    try:
        with torch.device("meta"):
            return create(definition, num_classes)
    except (NotImplementedError, RuntimeError):  # torchvision's RegNets compute their widths with tensors
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
    if dotted.is_dotted(name):
        return dotted.make(name, num_classes)
    if name in WRITTEN_HERE:
        return WRITTEN_HERE[name](num_classes, **definition.kwargs)
    if not name.startswith(TORCHVISION):
        return timm.create_model(name, pretrained=False, num_classes=num_classes, **definition.kwargs)
    from torchvision.models import get_model

    with warnings.catch_warnings():  # of inception and googlenet, on how their weights are initialised
        warnings.simplefilter("ignore", FutureWarning)
        return get_model(name.split(".")[1], weights=None, num_classes=num_classes, **definition.kwargs)


def _create_with_drop_path(definition: Architecture, num_classes: int, rate: float) -> nn.Module:
    deeper = with_drop_path(definition, rate)
    try:
        model = create(deeper, num_classes)
    except TypeError as error:  # timm has the option for most of its families
        raise without_depth(definition, rate) from error
    if not has_drop_path(model):
        raise without_depth(definition, rate)
    return model
