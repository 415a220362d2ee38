"""Networks from names: freshly initialised, from a weights file, or with published weights."""

import sys
import warnings
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import model_entrypoint
from torch import nn
from torch.overrides import TorchFunctionMode

from neuroscaling.errors import DataError, Problem
from neuroscaling.models.names import OWN, TORCHVISION, Architecture, architecture
from neuroscaling.models.one_peace.checkpoint import vision_names
from neuroscaling.models.one_peace.model import OnePeaceVision
from neuroscaling.models.weight_files import weights_file, weights_problems
from neuroscaling.models.weights import load_tensors, load_weights, read_weights

__all__ = ["build", "build_pretrained", "build_with", "classes_in", "classifier_name", "load_weights", "skeleton"]

DRAWS = {torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_, torch.Tensor.random_}


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
    """A network with published weights: from the file `weights`, or fetched by timm or torchvision.

    arch: usually with the tag of the weights, e.g. `resnet18.a1_in1k`, `torchvision.resnet18.IMAGENET1K_V1`. weights:
    safetensors or what torch.save wrote, under this package's or timm's names or those of the original checkpoint,
    with or without a classifier; `weight_files.weights_file` says where else it is looked for. Raises DataError when
    the weights can't be had or don't fit.
    """
    if weights is not None:
        return build_with(arch, weights_file(weights, arch) or weights)
    if problems := weights_problems(arch, None):
        raise DataError(problems)
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


def build_with(arch: str, weights: Path) -> nn.Module:
    """A network of architecture `arch` with the weights of a file, and as many outputs as those have (0: no head).

    Raises DataError when the file is missing, damaged or of another architecture.
    """
    tensors, metadata = read_weights(weights)
    tensors = _own_names(architecture(arch), tensors)
    with NoDraws():  # every number is read
        model = _create(architecture(arch), _classes(tensors, metadata, arch, weights))
    load_tensors(model, tensors, metadata, arch, weights)
    return model


def classes_in(weights: Path, arch: str) -> int:
    """Number of outputs of the classifier in the weights file of a network of architecture `arch`; 0 without one.

    Raises DataError when the weights are of another network.
    """
    tensors, metadata = read_weights(weights)
    return _classes(_own_names(architecture(arch), tensors), metadata, arch, weights)


def classifier_name(model: nn.Module) -> str:
    """Name of the module that gives the logits: timm knows it; in torchvision it is the last linear one."""
    if hasattr(model, "get_classifier"):
        classifier = model.get_classifier()
        return next((name for name, module in model.named_modules() if module is classifier), "")
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else ""


def published_classes(arch: str) -> int:
    """Outputs of the head that the published weights of a timm name have (of CLIP's: the width of its projection)."""
    config = timm.get_pretrained_cfg(architecture(arch).timm_name, allow_unregistered=True)
    return config.num_classes if config else 0


class NoDraws(TorchFunctionMode):
    """Within it modules are made without drawing initial weights, which takes minutes for billions of parameters."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let random functions that fill a tensor return it as it is."""
        return args[0] if function in DRAWS else function(*args, **(kwargs or {}))


def _classes(tensors: dict[str, torch.Tensor], metadata: dict[str, str], arch: str, weights: Path) -> int:
    name = classifier_name(skeleton(arch))
    if f"{name}.weight" in tensors:
        return tensors[f"{name}.weight"].shape[0]
    headless = not architecture(arch).timm_name.startswith(TORCHVISION)
    if headless and set(skeleton(arch, 0).state_dict()) <= set(tensors):
        return 0
    what, found = f"weights of another architecture: no `{name}.weight`", metadata.get("arch")
    fix = "check which weights belong to this architecture; train the run again if they are its own"
    raise DataError(Problem(what, str(weights), found, f"weights of {arch}", fix=fix))


def _own_names(definition: Architecture, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of an original checkpoint under the names of the network; others as they are."""
    name = definition.timm_name
    if name.startswith(OWN):
        return vision_names(tensors)
    if name.startswith(TORCHVISION):
        return tensors
    model = skeleton(definition.name)
    head = f"{classifier_name(model)}."
    if {key for key in model.state_dict() if not key.startswith(head)} <= set(tensors):
        return tensors
    rename = getattr(sys.modules[model_entrypoint(name.partition(".")[0]).__module__], "checkpoint_filter_fn", None)
    try:
        return rename(dict(tensors), model) if rename else tensors
    except Exception:
        return tensors


def _create(definition: Architecture, num_classes: int) -> nn.Module:
    name = definition.timm_name
    if name.startswith(OWN):
        return OnePeaceVision(num_classes, **definition.kwargs)
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
