"""Goes over the families of timm and torchvision: is each made, trained a step, kept, read again, its layers found?

One network of each module of the libraries, the smallest of those looked at; those that are too large for a trial by
their shapes alone. Prints a line for each, and ends with 1 where something is wrong. About half an hour on a core.

    python perf/networks.py [PART OF A NAME ...]
"""

import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator

from neuroscaling.core.errors import NeuroscalingError, Problem
from neuroscaling.models.build import skeleton
from neuroscaling.models.cost import parameters_of
from neuroscaling.models.heads import classes_of
from neuroscaling.models.layers import candidate_layers, readout_layer
from neuroscaling.models.state import shapes, tensors_of
from neuroscaling.study import architectures
from neuroscaling.study.sections.extraction import FeatureOptions
from neuroscaling.training.network_trials import Use, try_network

LOOKED_AT = 7  # networks of a module, evenly over its list
CLASSES = 7


def main(parts: list[str]) -> int:
    """Try all networks, or those with one of `parts` in their names; how many are wrong."""
    warnings.simplefilter("ignore")
    wrong = 0
    for name in representatives():
        if parts and not any(part in name for part in parts):
            continue
        start, found = time.monotonic(), list(problems(name))
        wrong += bool(found)
        said = "; ".join(f"{problem.what} ({problem.value})" for problem in found) or summary(name)
        print(f"{'WRONG' if found else 'good '} {name}: {said} [{time.monotonic() - start:.0f} s]", flush=True)
    return wrong


def representatives() -> list[str]:
    """The smallest network, of some, of each module of timm and torchvision."""
    modules: dict[tuple[bool, str], list[str]] = defaultdict(list)
    for name, model in architectures._library().items():
        modules[name.startswith(architectures.TORCHVISION), model.module].append(name)
    return [min(some[:: max(1, len(some) // LOOKED_AT)], key=size) for some in modules.values()]


def size(name: str) -> float:
    """Parameters of a network; infinitely many where it can't be made."""
    try:
        return parameters_of(skeleton(name, CLASSES))
    except NeuroscalingError:
        return float("inf")


def problems(name: str) -> Iterator[Problem]:
    """What is wrong with a network."""
    try:
        if classes_of(name, shapes(tensors_of(skeleton(name, CLASSES)))) != CLASSES:
            yield Problem(what="the number of classes doesn't follow from its tensors", where=name)
        yield from try_network(Use(name, frozenset({"trained"}), frozenset({"supervised"}), {}), FeatureOptions())
    except NeuroscalingError as error:
        yield from error.problems


def summary(name: str) -> str:
    """Its layers in few words."""
    blocks = candidate_layers(name)
    return f"{size(name) / 1e6:.1f} million, {len(blocks)} blocks to {blocks[-1]}, readout {readout_layer(name)}"


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
