"""Networks from names: freshly initialised, from a weights file, or with published weights."""

import warnings
from pathlib import Path

import timm
import torch
from torch import nn

from neuroscaling.errors import DataError, Problem
from neuroscaling.models.names import TORCHVISION, Architecture, architecture
from neuroscaling.models.weights import load_weights, read_weights

__all__ = ["build", "build_pretrained", "classes_in", "classifier_name", "load_weights", "skeleton"]


def build(arch: str, num_classes: int, seed: int) -> nn.Module:
    """A network of architecture `arch` with `num_classes` outputs, initialised from `seed`, on the CPU.

    Equal arguments give equal weights; the global random state is left as it was. Raises StudyError for an unknown
    architecture.
    """
    definition = architecture(arch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _create(definition, num_classes)


def skeleton(arch: str, num_classes: int = 1000) -> nn.Module:
    """The network on torch's meta device: shapes without numbers, in a moment and without memory."""
    definition = architecture(arch)
    try:
        with torch.device("meta"):
            return _create(definition, num_classes)
    except NotImplementedError:  # torchvision's RegNets compute their widths with tensors
        return _create(definition, num_classes).to("meta")


def build_pretrained(arch: str, weights: Path | None = None) -> nn.Module:
    """A network with published weights: from the safetensors file `weights`, or fetched by timm or torchvision.

    arch: usually with the tag of the weights, e.g. `resnet18.a1_in1k`, `torchvision.resnet18.IMAGENET1K_V1`. Raises
    DataError when the weights can't be had or don't fit.
    """
    if weights is not None:
        model = build(arch, classes_in(weights, arch), seed=0)
        load_weights(model, weights, arch)
        return model
    try:
        return _published(architecture(arch).timm_name)
    except Exception as error:  # a hub client raises errors of many libraries
        raise DataError(
            Problem(
                f"published weights can't be fetched ({type(error).__name__}: {str(error).splitlines()[0][:200]})",
                value=arch,
                fix="without a network, put <name>.safetensors into a folder and name it with `weights:` in the study",
            )
        ) from error


def classes_in(weights: Path, arch: str) -> int:
    """Number of outputs of the classifier in the weights file of a network of architecture `arch`.

    Raises DataError when the file has no such classifier.
    """
    name = classifier_name(skeleton(arch))
    tensors, metadata = read_weights(weights)
    if f"{name}.weight" not in tensors:
        what, found = f"weights of another architecture: no `{name}.weight`", metadata.get("arch")
        raise DataError(Problem(what, str(weights), found, f"weights of {arch}", fix="train the run again"))
    return tensors[f"{name}.weight"].shape[0]


def classifier_name(model: nn.Module) -> str:
    """Name of the module that gives the logits: timm knows it; in torchvision it is the last linear one."""
    if hasattr(model, "get_classifier"):
        classifier = model.get_classifier()
        return next((name for name, module in model.named_modules() if module is classifier), "")
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else ""


def _create(definition: Architecture, num_classes: int) -> nn.Module:
    name = definition.timm_name
    if not name.startswith(TORCHVISION):
        return timm.create_model(name, pretrained=False, num_classes=num_classes, **definition.kwargs)
    from torchvision.models import get_model

    with warnings.catch_warnings():  # of inception and googlenet, on how their weights are initialised
        warnings.simplefilter("ignore", FutureWarning)
        return get_model(name.split(".")[1], weights=None, num_classes=num_classes, **definition.kwargs)


def _published(name: str) -> nn.Module:
    if not name.startswith(TORCHVISION):
        return timm.create_model(name, pretrained=True)
    from torchvision.models import get_model

    _, base, *tag = name.split(".")
    return get_model(base, weights=tag[0] if tag else "DEFAULT")
