"""Networks are built by name: freshly initialised, as shapes alone, or with stochastic depth."""

import logging
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np
import timm
import torch
from timm.layers import DropPath
from torch import nn
from torch.nn.parameter import is_lazy

from neuroscaling.core.errors import NeuroscalingError, Problem, StudyError, listing
from neuroscaling.models.one_peace import OnePeaceVision
from neuroscaling.models.own_convnets import CORnetS, FlexResNet
from neuroscaling.models.state import refuse_unfilled
from neuroscaling.study import own_networks
from neuroscaling.study.architectures import ONE_PEACE, OWN, TORCHVISION, Architecture, architecture
from neuroscaling.study.own_networks import is_dotted

log = logging.getLogger(__name__)
T = TypeVar("T")
UNBUILT = "the network can't be built"
WRITTEN_HERE = {ONE_PEACE: OnePeaceVision, f"{OWN}cornet_s": CORnetS, f"{OWN}flex_resnet": FlexResNet}


def build(arch: str, num_classes: int, seed: int, drop_path: float = 0.0, drop_path_form: str = "linear") -> nn.Module:
    """Return a network of architecture `arch` with `num_classes` outputs, initialised from `seed`, on the CPU.

    drop_path: share of images for which a block is left out in training (stochastic depth, Huang et al. 2016), of the
    last block where drop_path_form is `linear` (rising from 0 at the first), of each where it is `constant`; 0 for what
    the architecture has by itself. Equal arguments give equal weights; the global random states of torch, numpy and
    Python are left as they were. Raises StudyError for an unknown architecture, one that has no stochastic depth, and
    a network with tensors that hold no numbers.
    """
    definition = architecture(arch)
    with seeded(seed), _memory_marked():
        model = _created(definition, num_classes, drop_path)
    refuse_unfilled(model, arch)
    return equal_rates(model, drop_path) if drop_path and drop_path_form == "constant" else model


def skeleton(arch: str, num_classes: int = 1000) -> nn.Module:
    """Return the network on torch's meta device: shapes without numbers, in a moment and without memory."""
    definition = architecture(arch)
    with seeded(0):
        try:
            with torch.device("meta"):
                return create(definition, num_classes)
        except NeuroscalingError:
            raise
        except Exception:  # torchvision's RegNets compute their widths with tensors; others raise what they like
            return _created(definition, num_classes).to("meta")


def with_shapes(arch: str, work: Callable[[nn.Module], T], num_classes: int = 1000) -> T:
    """What `work` gives for the skeleton of `arch`; or, where its forward pass looks at values, for the network itself.

    `work` runs the network that it is given, on the device where its tensors are. Raises StudyError where that fails
    with numbers too.
    """
    try:
        return work(skeleton(arch, num_classes))
    except NeuroscalingError:
        raise
    except Exception as error:  # whatever a network raises that meets tensors without values
        log.info("%s is looked at with numbers: %s", arch, str(error).partition("\n")[0][:200])
    return run_or_refuse(arch, lambda: work(build(arch, num_classes, 0)))


def run_or_refuse(arch: str, work: Callable[[], T], what: str = "a forward pass fails") -> T:
    """Return what `work`, which runs a network, gives. Raises StudyError in the place of any error of that network."""
    try:
        return work()
    except NeuroscalingError:
        raise
    except Exception as error:
        said = f"{what}: {type(error).__name__}: {str(error).strip().partition(chr(10))[0][:300]}"
        size = architecture(arch).input_size
        fix = f"the network must take images (b, 3, {size}, {size}), float32, for any b above 1"
        raise StudyError(Problem(what=said, where=arch, fix="" if what == UNBUILT else fix)) from error


def create(definition: Architecture, num_classes: int) -> nn.Module:
    """The network of a definition, on the device and from the random state that are set; 0 classes: without a head."""
    return plain(_create(definition, num_classes), definition.name)


def _created(definition: Architecture, num_classes: int, drop_path: float = 0.0) -> nn.Module:
    """Return the network, or a StudyError that says why it can't be made."""
    if drop_path:
        return run_or_refuse(
            definition.name, lambda: _create_with_drop_path(definition, num_classes, drop_path), UNBUILT
        )
    return run_or_refuse(definition.name, lambda: create(definition, num_classes), UNBUILT)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The random numbers of torch (on the CPU), numpy and Python start at `seed`; put back afterwards."""
    of_numpy, of_python = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)
            random.seed(seed)
            yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)


@contextmanager
def _memory_marked() -> Iterator[None]:
    """Memory that nothing is written to is NaN, as torch does it beside its deterministic algorithms."""
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode(max(before, 1))
    try:
        with warnings.catch_warnings():  # of operations that have no deterministic form
            warnings.filterwarnings("ignore", message=".*deterministic")
            yield
    finally:
        torch.set_deterministic_debug_mode(before)


def _create(definition: Architecture, num_classes: int) -> nn.Module:
    name = definition.timm_name
    if own_networks.is_dotted(name):
        return own_networks.make_dotted(name, num_classes)
    if name in WRITTEN_HERE:
        return WRITTEN_HERE[name](num_classes, **definition.kwargs)
    if not name.startswith(TORCHVISION):
        return timm.create_model(name, pretrained=False, num_classes=num_classes, **definition.kwargs)
    from torchvision.models import get_model  # slow to import, and for its own networks alone

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


WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def plain(model: nn.Module, arch: str) -> nn.Module:
    """`model` without torch.compile and DataParallel around it, or around its parts, and with float32 in all tensors.

    Layers are read by hooks, which compiled modules pass over; training compiles by itself where it is asked to
    (`training: compile`). Weights of other types (float16, bfloat16, float64) become float32: half precision comes
    from the recipe's `precision`, or the extraction's `autocast`. Raises StudyError for a scripted network, and for
    lazy modules, whose tensors have no sizes yet.
    """
    model = _unwrapped(model)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if (inside := _unwrapped(child)) is not child:
                setattr(module, name, inside)
    for module in model.modules():
        module._compiled_call_impl = None  # of `module.compile()`
    if isinstance(model, torch.jit.ScriptModule):
        what, fix = "a scripted network: its layers can't be read", "return the module itself, without torch.jit"
        raise StudyError(
            Problem(what=what, where=arch, value=type(model).__name__, allowed="a torch.nn.Module", fix=fix)
        )
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    if lazy := [name for name, tensor in named.items() if is_lazy(tensor)]:
        what, fix = (
            "lazy modules, whose sizes nobody knows yet",
            "give them their sizes, e.g. nn.Linear for nn.LazyLinear",
        )
        raise StudyError(Problem(what=what, where=arch, value=listing(lazy), fix=fix))
    tensors = named.values()
    odd = any(tensor.is_floating_point() and tensor.dtype != torch.float32 for tensor in tensors)
    return model.float() if odd else model


def _unwrapped(module: nn.Module) -> nn.Module:
    # Only who compiles has imported the compiler, which takes seconds.
    compiled = getattr(sys.modules.get("torch._dynamo"), "OptimizedModule", ())
    while True:
        if isinstance(module, compiled):
            module = module._orig_mod
        elif isinstance(module, WRAPPERS):
            module = module.module
        else:
            return module


def with_drop_path(definition: Architecture, rate: float) -> Architecture:
    """Return the architecture with `rate` at its last block, rising from 0 at its first.

    Raises StudyError for a network that isn't timm's, or a rate that is none.
    """
    name = definition.timm_name
    if not 0 <= rate < 1:
        raise StudyError(
            Problem(
                what="not a rate of stochastic depth", where=definition.name, value=rate, allowed="0 to less than 1"
            )
        )
    if is_dotted(name) or name.startswith((OWN, TORCHVISION)):
        raise without_depth(definition, rate)
    return replace(definition, kwargs={**definition.kwargs, "drop_path_rate": rate})


def without_depth(definition: Architecture, rate: float) -> StudyError:
    """Return the error for an architecture that has no stochastic depth."""
    fix = "leave it out of the recipe's `drop_path`"
    return StudyError(
        Problem(what="an architecture without stochastic depth", where=definition.name, value=rate, fix=fix)
    )


def has_drop_path(model: nn.Module) -> bool:
    """Are blocks of this network left out in training?"""
    return any(isinstance(module, DropPath) for module in model.modules())


def equal_rates(model: nn.Module, rate: float) -> nn.Module:
    """Return the network with the same rate in all blocks, those included that a linear rise leaves at 0."""
    paths = {
        (type(module), name)
        for module in model.modules()
        for name, child in module.named_children()
        if isinstance(child, DropPath)
    }
    for module in list(model.modules()):
        for kind, name in paths:
            if type(module) is kind:
                setattr(module, name, DropPath(rate))
    return model
