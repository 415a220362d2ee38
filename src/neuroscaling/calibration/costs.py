"""Parameters and multiply-accumulates of the architectures, counted once and shipped (arch_costs.txt). Light."""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from neuroscaling.hashing import content_hash
from neuroscaling.models import names

TABLE = Path(__file__).with_name("arch_costs.txt")


@dataclass(frozen=True)
class ArchCost:
    """Of a network with 1,000 classes: parameters, and multiply-accumulates of one image's forward pass."""

    n_params: int
    macs: int


def listed_cost(arch: str) -> ArchCost | None:
    """What the shipped table has of `arch`; None where it has nothing, or another definition of it."""
    return _table().get((arch, definition_of(arch)))


@cache
def cost_of(arch: str) -> ArchCost:
    """What the shipped table has of `arch`, else a count by torch, a fraction of a second."""
    found = listed_cost(arch)
    if found is None:
        from neuroscaling.models.cost import count

        counted = count(arch)
        found = ArchCost(counted["n_params"], counted["macs"])
    return found


@cache
def definition_of(arch: str) -> str:
    """Hash of what determines a network of this name: a changed definition is counted anew."""
    return content_hash(names.definition(arch))


def write_costs(archs: list[str], path: Path = TABLE) -> None:
    """Count `archs` and write the table: `python tools/network_tables.py NAME ...`: the zoo and others."""
    from neuroscaling.files import atomic_path
    from neuroscaling.models.cost import count

    lines = ["# arch\tdefinition\tn_params\tmacs: counted on the meta device, 1,000 classes, forward pass of one image"]
    for arch in archs:
        counted = count(arch)
        lines.append(f"{arch}\t{definition_of(arch)}\t{counted['n_params']}\t{counted['macs']}")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


@cache
def _table() -> dict[tuple[str, str], ArchCost]:
    lines = TABLE.read_text(encoding="utf-8").splitlines() if TABLE.is_file() else []
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {(arch, definition): ArchCost(int(n), int(macs)) for arch, definition, n, macs in rows}
