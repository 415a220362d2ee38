"""`neuroscaling models`: architectures, and what a forward pass of them costs."""

from collections.abc import Sequence
from typing import Any

from neuroscaling.errors import StudyError
from neuroscaling.models import names
from neuroscaling.models.encoding_models import encoding_models


def models(wanted: Sequence[str] = (), cost: bool = True) -> list[dict[str, Any]]:
    """A row for each architecture: name, family, cost where wanted, input size in pixels, what builds it, readout.

    wanted: their names; without any those of the zoo and of the encoding study. Costs are those of `cost.count`, for a
    head of 1,000 classes. Raises StudyError with every name that is unknown.
    """
    listed = list(wanted) or [*names.names(), *(model.name for model in encoding_models())]
    if problems := [problem for name in listed for problem in names.problems(name)]:
        raise StudyError(problems)
    return [_row(names.architecture(name), cost) for name in dict.fromkeys(listed)]


def _row(arch: names.Architecture, cost: bool) -> dict[str, Any]:
    counts: dict[str, int] = {}
    if cost:
        from neuroscaling.models.cost import count

        counts = count(arch.name)
    keys = ("name", "family"), ("input_size", "timm_name", "readout")
    first, last = ({key: getattr(arch, key) for key in part} for part in keys)
    return {**first, **counts, **last}
