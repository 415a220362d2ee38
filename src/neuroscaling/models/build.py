"""Networks from names: freshly initialised, or shapes alone."""

import logging
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import timm
import torch
from torch import nn

from neuroscaling.errors import NeuroscalingError, Problem, StudyError
from neuroscaling.models import dotted
from neuroscaling.models.cornet_s import CORnetS
from neuroscaling.models.drop_path import equal_rates, has_drop_path, with_drop_path, without_depth
from neuroscaling.models.flex_resnet import FlexResNet
from neuroscaling.models.names import ONE_PEACE, OWN, TORCHVISION, Architecture, architecture
from neuroscaling.models.one_peace.model import OnePeaceVision
from neuroscaling.models.plain import plain
from neuroscaling.models.state import refuse_unfilled

log = logging.getLogger(__name__)
T = TypeVar("T")
UNBUILT = "the network can't be built"
WRITTEN_HERE = {ONE_PEACE: OnePeaceVision, f"{OWN}cornet_s": CORnetS, f"{OWN}flex_resnet": FlexResNet}


def build(arch: str, num_classes: int, seed: int, drop_path: float = 0.0, drop_path_form: str = "linear") -> nn.Module:
    """A network of architecture `arch` with `num_classes` outputs, initialised from `seed`, on the CPU.

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
    """The network on torch's meta device: shapes without numbers, in a moment and without memory."""
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
    """What `work`, which runs a network, gives. Raises StudyError in the place of any error of that network."""
    try:
        return work()
    except NeuroscalingError:
        raise
    except Exception as error:
        said = f"{what}: {type(error).__name__}: {str(error).strip().partition(chr(10))[0][:300]}"
        size = architecture(arch).input_size
        fix = f"the network must take images (b, 3, {size}, {size}), float32, for any b above 1"
        raise StudyError(Problem(said, arch, fix="" if what == UNBUILT else fix)) from error


def create(definition: Architecture, num_classes: int) -> nn.Module:
    """The network of a definition, on the device and from the random state that are set; 0 classes: without a head."""
    return plain(_create(definition, num_classes), definition.name)


def _created(definition: Architecture, num_classes: int, drop_path: float = 0.0) -> nn.Module:
    """The network, or a StudyError that says why it can't be made."""
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
