"""What is known of a network's size before it is built: from the shipped table, or noted by an earlier look at it.

To look at a network loads torch and takes seconds for a billion parameters, which the reading of a study must not. So
`check`, which each start runs in a process of its own, looks at the networks that the table doesn't have, and keeps
what it found in the store's cache (`note_shapes`). Where there is neither, a network has no shape yet.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neuroscaling.core.hashing import content_hash
from neuroscaling.datasets.image_listing import read_cache, write_cache
from neuroscaling.planning.workload import FLOAT_BYTES, ArchCost, definition_of, listed_row
from neuroscaling.study.sections.extraction import Reduction

LIBRARIES = ("torch", "timm", "torchvision")


@dataclass(frozen=True)
class NetworkShape:
    """Of a network with 1,000 classes, and of one image in float32.

    live: bytes that a forward pass that keeps nothing holds at its fullest; made: bytes of the results of all its
    operations; largest: of the largest of them; layers: channels and numbers of each layer by default, early to late,
    the readout last (models/footprint.py counts them).
    """

    n_params: int
    macs: int
    live: int
    made: int
    largest: int
    layers: tuple[tuple[int, int], ...]

    @property
    def weights(self) -> int:
        """Bytes of its weights."""
        return FLOAT_BYTES * self.n_params

    def widths(self, reduction: Reduction, candidates: str | list[str] | None = None) -> list[int]:
        """Features of each entry of the store, at most: of each layer after reduction, on each of its grids.

        candidates: layers that a study names; none of them is larger than the largest result. Of a pattern: it finds at
        most PATTERN_LAYERS times as many layers as there are by default, and all together hold no more than all
        results (`all`), or PATTERN_SHARE of them.
        """
        layers = self.layers
        if candidates is not None and candidates != "default":
            channels, largest = max(one for one, _ in layers), self.largest // FLOAT_BYTES
            many = PATTERN_LAYERS * len(layers) if isinstance(candidates, str) else len(candidates)
            share = 1.0 if candidates == "all" else PATTERN_SHARE
            usual = min(round(share * self.made / FLOAT_BYTES / many), largest)
            usual = usual if isinstance(candidates, str) else largest
            layers = ((channels, largest), *((channels, usual),) * (many - 1), layers[-1])
        readout = layers[-1][1]
        if reduction.is_grid:
            sizes = reduction.sizes or [reduction.size]
            return [min(size**2 * channels, numbers) for channels, numbers in layers for size in sizes]
        if reduction.kind == "projection":
            return [min(reduction.components, numbers) for _, numbers in layers[:-1]] + [readout]
        return [numbers for _, numbers in layers]

    def columns(self) -> list[str]:
        """This shape as a row of the shipped table holds it; runs of equal layers are written once: `12*768/151296`."""
        runs: list[list[Any]] = []
        for layer in self.layers:
            if runs and runs[-1][1] == layer:
                runs[-1][0] += 1
            else:
                runs.append([1, layer])
        layers = ",".join(f"{n}*{channels}/{numbers}" for n, (channels, numbers) in runs)
        return [*map(str, (self.n_params, self.macs, self.live, self.made, self.largest)), layers]

    @classmethod
    def of_columns(cls, columns: list[str]) -> "NetworkShape":
        """What `columns` wrote."""
        n_params, macs, live, made, largest = map(int, columns[:-1])
        layers = columns[-1]
        runs = (run.replace("/", "*").split("*") for run in layers.split(","))
        listed = tuple((int(channels), int(size)) for n, channels, size in runs for _ in range(int(n)))
        return cls(n_params, macs, live, made, largest, listed)


PATTERN_LAYERS, PATTERN_SHARE = 8, 0.5
"""A pattern finds up to so many times the layers that a network has by default; and the numbers of such as `family`."""


def shape_of(arch: str, cache_dir: Path) -> NetworkShape | None:
    """The shape of `arch`, from the shipped table or a note below `cache_dir`; None where nobody has looked at it."""
    key = arch, definition_of(arch), cache_dir
    # What is not known yet may be noted while a study runs.
    if key not in _KNOWN and (found := _found(arch, cache_dir)) is not None:
        _KNOWN[key] = found
    return _KNOWN.get(key)


def known_cost(arch: str, cache_dir: Path) -> ArchCost | None:
    """Parameters and multiply-accumulates of `arch`, where its shape is known."""
    shape = shape_of(arch, cache_dir)
    return ArchCost(shape.n_params, shape.macs) if shape else None


def note_shapes(archs: Iterable[str], cache_dir: Path) -> None:
    """Look at those of `archs` that have no shape yet, and note what is found below `cache_dir`.

    Loads torch where there are any. Raises StudyError for a network that can't be built or run.
    """
    for arch in dict.fromkeys(archs):
        if _found(arch, cache_dir) is None:
            write_cache(_note(arch, cache_dir), arch, asdict(counted_shape(arch)))


def counted_shape(arch: str) -> NetworkShape:
    """The shape of `arch`, counted on the meta device. Raises StudyError for an unknown architecture."""
    from neuroscaling.models.cost import count  # both load torch
    from neuroscaling.models.footprint import footprint

    counted, looked_at = count(arch), footprint(arch)
    return NetworkShape(
        counted["n_params"], counted["macs"], looked_at.live, looked_at.made, looked_at.largest, looked_at.layers
    )


_KNOWN: dict[tuple[str, str, Path], NetworkShape] = {}


def _found(arch: str, cache_dir: Path) -> NetworkShape | None:
    if row := listed_row(arch):
        return NetworkShape.of_columns(row)
    noted = read_cache(_note(arch, cache_dir), arch)
    if not noted:
        return None
    return NetworkShape(**noted | {"layers": tuple((channels, numbers) for channels, numbers in noted["layers"])})


def _note(arch: str, cache_dir: Path) -> Path:
    name = content_hash([definition_of(arch), *map(version, LIBRARIES)])
    return cache_dir / "networks" / f"shape-{name}.json"
