"""A GPU that is not there: torch's fake tensors say that they lie on one, and refuse to meet tensors of the CPU.

Nothing is computed. What is shown is that a step's tensors are where they belong, and that no step waits for the GPU.
torch leads gradients back in threads that need a real GPU; here they are led back node by node.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("cuda", 0)
MEMORY = 80 * 2**30
READS = ("aten::_local_scalar_dense", "aten::nonzero")
WITHOUT_FAKES = ("aten::_fused_sgd_", "aten::_fused_adamw_")


class Waits(TorchDispatchMode):
    """Notes down what makes the host wait for a GPU: reading a value, and copies that do not say `non_blocking`.

    made_up: a number that is read of the GPU is 1 (0 if whole), an array is 0; otherwise torch refuses to read what a
    fake has not.
    """

    def __init__(self, made_up: bool = False) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.made_up = made_up

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        options = kwargs or {}
        name = func._schema.name
        if name in READS and args[0].is_cuda:
            self.seen.append(name)
        if name in ("aten::_to_copy", "aten::copy_") and _waits(name, args, options):
            self.seen.append(f"{name} of {tuple(args[0].shape)}")
        if name in WITHOUT_FAKES:  # fused optimisers, which take all or nothing on a GPU
            assert {leaf.device for leaf in tree_leaves((args, options)) if isinstance(leaf, torch.Tensor)} == {GPU}
            return None
        if self.made_up and name == READS[0]:
            return int(args[0].is_floating_point())
        made = func(*args, **options)
        if self.made_up and name == "aten::_to_copy" and args[0].is_cuda and made.device.type == "cpu":
            with unset_fake_temporarily():
                return torch.zeros(made.shape, dtype=made.dtype)
        return made


@contextmanager
def fake_gpu(monkeypatch: Any, made_up: bool = False) -> Iterator[Waits]:
    """Tensors sent to `GPU` in the block are fakes on a GPU with 80 GB of memory; what made the host wait.

    made_up: what comes back from it are ones and zeros, so that what reads results runs to its end.
    """
    for owner, name, value in (
        (torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
        (torch.cuda, "is_bf16_supported", lambda: True),
        (torch.cuda, "mem_get_info", lambda device=None: (MEMORY, MEMORY)),
        (torch.cuda, "manual_seed", lambda seed: None),
        (torch.random, "fork_rng", _fork_rng(torch.random.fork_rng)),
        (torch, "Generator", _generator(torch.Generator)),
        (torch.Tensor, "backward", _backward),
        (torch.autograd, "grad", _grad),
        (nn.Module, "to", _to),
        (nn.Parameter, "__deepcopy__", _copied),
        (nn.init, "trunc_normal_", lambda tensor, *_, **__: tensor),  # which looks at what it drew
    ):
        monkeypatch.setattr(owner, name, value)
    monkeypatch.setattr(FakeTensor, "__deepcopy__", _copied, raising=False)
    if made_up:
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
        monkeypatch.setattr(torch.cuda, "Event", _Event)
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
        monkeypatch.setattr(
            FakeTensor, "numpy", lambda tensor: np.zeros(tensor.shape, str(tensor.dtype)[6:]), raising=False
        )
    with FakeTensorMode(allow_non_fake_inputs=True), Waits(made_up) as waits:
        yield waits


def _no_numbers(tensor: torch.Tensor) -> np.ndarray:
    return np.zeros(tensor.shape, str(tensor.dtype).removeprefix("torch."))


class _Event:
    """A place in the work of a GPU that does none."""

    def record(self) -> None:
        """There is nothing to wait for."""

    def synchronize(self) -> None:
        """Nothing is waited for."""


def real(function: Any) -> Any:
    """`function` with real tensors, though called in a block of `fake_gpu`."""

    def called(*args: Any, **options: Any) -> Any:
        with unset_fake_temporarily():
            return function(*args, **options)

    return called


def _waits(name: str, args: tuple, options: dict) -> bool:
    """Does this copy between host and GPU wait?"""
    source, target = (args[1], args[0]) if name == "aten::copy_" else (args[0], options.get("device") or args[0])
    target = target.device if isinstance(target, torch.Tensor) else target
    told = args[2] if len(args) > 2 else options.get("non_blocking")
    return source.device.type != target.type and not told


def _led_back(root: Any, gradient: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Each leaf behind the node `root` with its gradient."""
    waiting, given, ready = _edges(root), {root: {0: gradient}}, [root]
    while ready:
        node = ready.pop()
        got = given.pop(node, {})
        if hasattr(node, "variable"):
            yield from [(node.variable, got[0])] if got else []
            continue
        for (following, i), value in zip(node.next_functions, _passed(node, got), strict=False):
            if following is None:
                continue
            if value is not None:
                meta, slot = following._input_metadata[i], given.setdefault(following, {})
                value = value.sum_to_size(meta.shape).to(meta.dtype)
                slot[i] = slot[i] + value if i in slot else value
            waiting[following] -= 1
            if not waiting[following]:
                ready.append(following)


def _edges(root: Any) -> Counter:
    """How often each node behind `root` is given something."""
    edges, left = Counter(), [root]
    while left:
        for node, _ in left.pop().next_functions:
            if node is not None:
                left += [node] if node not in edges else []
                edges[node] += 1
    return edges


def _passed(node: Any, got: dict[int, torch.Tensor]) -> tuple:
    """What `node` passes on for what it `got`."""
    if not got:
        return (None,) * len(node.next_functions)
    call = node.apply if hasattr(node, "apply") else node
    passed = call(*[got.get(i) for i in range(max(got) + 1)])
    return passed if isinstance(passed, tuple) else (passed,)


def _backward(loss: torch.Tensor, *_: Any, **__: Any) -> None:
    with torch.no_grad():
        for leaf, gradient in _led_back(loss.grad_fn, torch.ones_like(loss)):
            assert (gradient.device, gradient.dtype, gradient.shape) == (leaf.device, leaf.dtype, leaf.shape)
            leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient


def _grad(output: torch.Tensor, wanted: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor]:
    with torch.no_grad():
        found = [gradient for leaf, gradient in _led_back(output.grad_fn, torch.ones_like(output)) if leaf is wanted]
    return (found[0],)


def _to(module: nn.Module, device: Any = None, memory_format: Any = None) -> nn.Module:
    """As nn.Module.to, which can't exchange fake parameters."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                layout = {"memory_format": memory_format} if memory_format and value.ndim == 4 else {}
                part._parameters[name] = nn.Parameter(value.detach().to(device, **layout), value.requires_grad)
        part._buffers |= {name: value.to(device) for name, value in part._buffers.items() if value is not None}
    return module


def _copied(tensor: torch.Tensor, memo: dict) -> torch.Tensor:
    """A deep copy: torch copies the memory behind a tensor, and fakes have none."""
    made = tensor.detach().clone()
    memo[id(tensor)] = made = nn.Parameter(made, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made
    return made


def _fork_rng(forked: Any) -> Any:
    return lambda devices=(), **options: forked([device for device in devices if device.type == "cpu"], **options)


def _generator(made: Any) -> Any:
    """Generators of the CPU: those of a GPU can't be made without one."""
    return lambda device="cpu": made()
