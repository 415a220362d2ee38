"""Networks with the weights of a file: under this package's names, timm's, or those of an original checkpoint."""

import sys
from pathlib import Path
from typing import Any

import torch
from timm.models import model_entrypoint
from torch import nn
from torch.overrides import TorchFunctionMode

from neuroscaling.core.tensors import METADATA, safetensors_header
from neuroscaling.errors import DataError, Problem
from neuroscaling.models.build import classifier_name, create, skeleton
from neuroscaling.models.dotted import is_dotted
from neuroscaling.models.names import ONE_PEACE, OWN, TORCHVISION, architecture
from neuroscaling.models.one_peace.checkpoint import vision_names
from neuroscaling.models.weight_files import SAFETENSORS
from neuroscaling.models.weights import load_tensors, read_weights

DRAWS = {torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_, torch.Tensor.random_}


def build_with(arch: str, weights: Path) -> nn.Module:
    """A network of architecture `arch` with the weights of a file, and as many outputs as those have (0: no head).

    Raises DataError when the file is missing, damaged or of another architecture.
    """
    tensors, metadata = read_weights(weights)
    tensors = _own_names(arch, tensors)
    with NoDraws():  # every number is read
        model = create(architecture(arch), _classes(tensors, metadata, arch, weights))
    load_tensors(model, tensors, metadata, arch, weights)
    return model


def tensor_problems(arch: str, file: Path) -> list[Problem]:
    """What of the tensors in a safetensors file doesn't fit a network of `arch`, from names and shapes alone.

    In a second, however large the file; of a file of torch.save nothing is known without reading it. Raises StudyError
    for an unknown architecture.
    """
    if file.suffix != SAFETENSORS:
        return []
    try:
        header = safetensors_header(file)
    except DataError:  # weights_problems tells of it
        return []
    metadata = header.pop(METADATA)
    shapes = {name: torch.empty(entry["shape"], device="meta") for name, entry in header.items()}
    try:
        tensors = _own_names(arch, shapes)
        load_tensors(skeleton(arch, _classes(tensors, metadata, arch, file)), tensors, metadata, arch, file)
    except DataError as error:
        return error.problems
    return []


class NoDraws(TorchFunctionMode):
    """Within it modules are made without drawing initial weights, which takes minutes for billions of parameters."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let random functions that fill a tensor return it as it is."""
        return args[0] if function in DRAWS else function(*args, **(kwargs or {}))


def _classes(tensors: dict[str, torch.Tensor], metadata: dict[str, str], arch: str, weights: Path) -> int:
    name = classifier_name(skeleton(arch))
    if f"{name}.weight" in tensors:
        return tensors[f"{name}.weight"].shape[0]
    headless = not _is_torchvisions_or_dotted(arch)
    if headless and set(skeleton(arch, 0).state_dict()) <= set(tensors):
        return 0
    what, found = f"weights of another architecture: no `{name}.weight`", metadata.get("arch")
    fix = "check which weights belong to this architecture; train the run again if they are its own"
    raise DataError(Problem(what, str(weights), found, f"weights of {arch}", fix=fix))


def _own_names(arch: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of an original checkpoint under the names of the network; others as they are."""
    name = architecture(arch).timm_name
    if name == ONE_PEACE:
        return vision_names(tensors)
    if _is_torchvisions_or_dotted(arch) or name.startswith(OWN):
        return tensors
    model = skeleton(arch)
    head = f"{classifier_name(model)}."
    if {key for key in model.state_dict() if not key.startswith(head)} <= set(tensors):
        return tensors
    rename = getattr(sys.modules[model_entrypoint(name.partition(".")[0]).__module__], "checkpoint_filter_fn", None)
    try:
        return rename(dict(tensors), model) if rename else tensors
    except Exception:  # timm's filters meet any error in names that they don't know; loading names these
        return tensors


def _is_torchvisions_or_dotted(arch: str) -> bool:
    """Of these a network is known with a head alone, and weights under the names of its own modules alone."""
    name = architecture(arch).timm_name
    return is_dotted(name) or name.startswith(TORCHVISION)
