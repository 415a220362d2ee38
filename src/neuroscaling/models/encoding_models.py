"""The models of the seed study of voxel-wise encoding, with what must be true of them. Light."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

TABLE = Path(__file__).with_name("encoding_models.yaml")


@dataclass(frozen=True)
class EncodingModel:
    """A published model: `name` builds it, `called` is what the seed study calls it.

    parameters: with the head of its published weights; trunk: without; blocks: candidate layers; width: channels of the
    last; input_size: pixels of each side; grid: places of the last block along each side; weights: `pure` or
    `fine-tuned` (on labels, after CLIP); licence: of the weights.
    """

    name: str
    called: str
    parameters: int
    trunk: int
    blocks: int
    width: int
    input_size: int
    grid: int
    weights: str
    licence: str


@cache
def encoding_models() -> tuple[EncodingModel, ...]:
    """All of them, in the order of the table."""
    return tuple(EncodingModel(**entry) for entry in yaml.safe_load(TABLE.read_text(encoding="utf-8")))
