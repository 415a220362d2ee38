"""The layer that puts out what a network's classifier is given."""

from collections import Counter, deque
from typing import Any

import torch
from torch import nn

from neuroscaling.models.capture import IMAGES, INPUT, run
from neuroscaling.models.heads import head_names
from neuroscaling.models.names import architecture
from neuroscaling.models.state import device_of

Time = tuple[str, int]  # name of a module, and the how many-eth time that it runs in a pass, from 1
RECENT = 32  # outputs of modules that are looked at: what a classifier is given left one of the last few


@torch.no_grad()
def before_classifier(arch: str, model: nn.Module) -> str:
    """The last layer whose output is what the first classifier is given, or else `<classifier>:input`.

    Where a network has no classifier it is the last layer that gives a vector. An empty string where there is none.
    Works on the meta device.
    """
    heads, watch = head_names(arch, model), _Watch()
    inside = tuple(f"{head}." for head in heads)
    handles = []
    for name, module in model.named_modules():
        if name in heads:
            handles.append(module.register_forward_pre_hook(watch.given(name)))
        elif name and not name.startswith(inside):
            handles.append(module.register_forward_hook(watch.put_out(name)))
    size = architecture(arch).input_size
    try:
        run(model, torch.zeros(IMAGES, 3, size, size, device=device_of(model)))
    finally:
        for handle in handles:
            handle.remove()
    return watch.layer(watch.answer or (("", 0) if heads else watch.last_vector))


class _Watch:
    """Remembers what modules put out, until the first classifier is given something."""

    def __init__(self) -> None:
        self.answer: Time | None = None
        self.last_vector: Time = ("", 0)
        self._recent: deque[tuple[Time, torch.Tensor]] = deque(maxlen=RECENT)
        self._ran: Counter[str] = Counter()

    def layer(self, time: Time) -> str:
        """The layer of one time that a module ran; its last has no number."""
        name, number = time
        return name if number in (0, self._ran[name]) else f"{name}:{number}"

    def put_out(self, name: str) -> Any:
        """A hook that remembers the output of the module `name`."""

        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self._ran[name] += 1
            if isinstance(output, torch.Tensor) and not self.answer and output.shape[:1] == (IMAGES,):
                self._recent.append(((name, self._ran[name]), output))
                self.last_vector = (name, self._ran[name]) if output.ndim == 2 else self.last_vector

        return hook

    def given(self, name: str) -> Any:
        """A hook that finds which layer put out what the classifier `name` is given."""

        def hook(module: nn.Module, inputs: Any) -> None:
            if self.answer or not inputs or not isinstance(inputs[0], torch.Tensor):
                return
            same = [time for time, output in self._recent if _are_one(output, inputs[0])]
            self.answer = same[-1] if same else (f"{name}:{INPUT}", 0)
            self._recent.clear()

        return hook


def _are_one(output: torch.Tensor, given: torch.Tensor) -> bool:
    """Are these the same numbers in memory, up to their shape? The storage of `output` is alive, so not reused."""
    one, other = (tensor.untyped_storage()._cdata for tensor in (output, given))
    return one == other and output.numel() == given.numel()
