"""What a network costs: parameters and multiply-accumulates."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from neuroscaling.models.build import skeleton
from neuroscaling.models.names import architecture


def count(arch: str, num_classes: int = 1000) -> dict[str, int]:
    """`n_params` and `macs` of one forward pass of one image at the architecture's input size.

    As in the published tables both are those of the network with a head of 1,000 classes, whatever the data set it is
    trained on. Counted by torch's flop counter on the meta device, forward only (its backward count of grouped
    convolutions is wrong); products of attention are counted, which those of the published tables are not.
    """
    model = skeleton(arch, num_classes).eval()
    size = architecture(arch).input_size
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, size, size, device="meta"))
    return {
        "n_params": sum(parameter.numel() for parameter in model.parameters()),
        "macs": counter.get_total_flops() // 2,
    }
