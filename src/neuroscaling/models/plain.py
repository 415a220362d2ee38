"""A network as this package needs it: float32, and no compiled, wrapped or scripted module around its layers."""

import sys

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from neuroscaling.errors import Problem, StudyError, listing

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
        raise StudyError(Problem(what, arch, type(model).__name__, "a torch.nn.Module", fix=fix))
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    if lazy := [name for name, tensor in named.items() if is_lazy(tensor)]:
        what, fix = (
            "lazy modules, whose sizes nobody knows yet",
            "give them their sizes, e.g. nn.Linear for nn.LazyLinear",
        )
        raise StudyError(Problem(what, arch, listing(lazy), fix=fix))
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
