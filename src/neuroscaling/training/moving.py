"""From the host to a GPU without waiting for it."""

from collections.abc import Sequence

import numpy as np
import torch


def moved(
    values: Sequence[float] | np.ndarray | torch.Tensor, device: torch.device, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """`values` on `device`, as `dtype` if given, without waiting for what a GPU still has to do.

    `torch.tensor(..., device=...)` and `.to(...)` wait for all of it unless they are told not to, so that the GPU has
    nothing to do while the next step is prepared (https://docs.pytorch.org/tutorials/intermediate/pinmem_nonblock.html).
    """
    return torch.as_tensor(values).to(device=device, dtype=dtype, non_blocking=True)
