"""Measured rates of a machine are kept in a file, `rates/1`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import read_json, write_json

FORMAT = "rates/1"
NETWORKS = ("tokens", "convolutions")
NUMBERS = ("products", "products64", "eigen", "decode", "write")


@dataclass(frozen=True)
class Rates:
    """What a machine did in a second.

    machine: its device, in words; cuda: whether that is a GPU, where ridge takes other ways; products, products64:
    operations of a matrix product in float32 and float64; eigen: of a symmetric eigendecomposition in float64, counted
    as 9 n^3; forward: of networks, by the type that they compute in (`none` for float32) and then of `tokens`
    (transformers) and `convolutions`; decode: images of 425 x 425 pixels decoded and resized; write: bytes written to
    the disk.
    """

    machine: str
    cuda: bool
    products: float
    products64: float
    eigen: float
    decode: float
    write: float
    forward: dict[str, dict[str, float]]

    def of_network(self, kind: str, autocast: str) -> float:
        """Operations a second of networks of `kind` in `autocast`. Raises DataError where that was not measured."""
        if autocast not in self.forward:
            what, fix = "these rates have no forward pass in this precision", "measure them anew: `--calibrate --save`"
            raise DataError(Problem(what=what, where="rates", value=autocast, allowed=", ".join(self.forward), fix=fix))
        return self.forward[autocast][kind]


def write_rates(rates: Rates, path: Path) -> None:
    """Write rates for `neuroscaling plan --rates`."""
    write_json(path, {"format": FORMAT, **asdict(rates)})


def read_rates(path: Path) -> Rates:
    """Read rates. Raises DataError with everything that is wrong with the file."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        fix = "make one with `neuroscaling plan STUDY --calibrate --save FILE`"
        raise DataError(Problem(what="not a file of rates", where=str(path), value=found, allowed=FORMAT, fix=fix))
    problems = list(_problems(content, path))
    if problems:
        raise DataError(problems)
    numbers = {key: float(content[key]) for key in NUMBERS}
    return Rates(machine=content["machine"], cuda=content["cuda"], forward=content["forward"], **numbers)


def _problems(content: dict[str, Any], path: Path) -> Iterator[Problem]:
    if not isinstance(content.get("machine"), str):
        yield Problem(what="not the name of a machine", where=f"{path}: machine", value=content.get("machine"))
    if not isinstance(content.get("cuda"), bool):
        yield Problem(what="neither true nor false", where=f"{path}: cuda", value=content.get("cuda"))
    for key in NUMBERS:
        if not _is_rate(content.get(key)):
            yield Problem(what="not a rate", where=f"{path}: {key}", value=content.get(key), allowed="a number above 0")
    forward = content.get("forward")
    if not isinstance(forward, dict) or not forward:
        yield Problem(what="no rates of networks", where=f"{path}: forward", value=forward)
        return
    for autocast, kinds in forward.items():
        for kind in NETWORKS:
            value = kinds.get(kind) if isinstance(kinds, dict) else None
            if not _is_rate(value):
                yield Problem(
                    what="not a rate",
                    where=f"{path}: forward.{autocast}.{kind}",
                    value=value,
                    allowed="a number above 0",
                )


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
