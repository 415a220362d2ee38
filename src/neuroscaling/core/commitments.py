"""A commitment states which layer of a run stands for the region of a benchmark (docs/formats.md).

commitments/<benchmark>-<key>/<run>.json        one record, written by the choice of layers and read by scoring
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Place, Problem
from neuroscaling.core.files import DELETE_AND_RERUN
from neuroscaling.core.json_records import from_json
from neuroscaling.core.records import CHECKSUM, FORMAT_KEY, write_record
from neuroscaling.core.score_files import read_record_of_run

COMMITMENT_FORMAT = "commitment/2"


@dataclass(frozen=True)
class LayerChoice:
    """The layers that one benchmark commits to.

    layer: that of most splits; layers: of each split, or one for all; candidates: the layers that were compared;
    scores: (splits, candidates), empty where nothing was compared; near_ties: layers that the folds don't tell from the
    chosen one, with the number of splits; why: why nothing was compared, or None.
    """

    benchmark: str
    region: str
    candidates: list[str]
    layer: str
    layers: list[str]
    scores: list[list[float]]
    near_ties: dict[str, int]
    why: str | None


@dataclass(frozen=True)
class FewImagesChoice:
    """The layers that were chosen inside `n_mapping` mapping images of each split; other keys as of `LayerChoice`."""

    n_mapping: int
    layer: str
    layers: list[str]
    scores: list[list[float]]
    near_ties: dict[str, int]

    @classmethod
    def of(cls, n_mapping: int, choice: LayerChoice) -> "FewImagesChoice":
        """What a choice found."""
        return cls(n_mapping, choice.layer, choice.layers, choice.scores, choice.near_ties)


@dataclass(frozen=True)
class Commitment(LayerChoice):
    """A choice of layers as its record holds it.

    run: that the layers were chosen on; way: `nested` or `reported`; hierarchy: whether the regions of the ventral
    stream were chosen in order; inner_splits: of the training images; definition: what the key in its path is a hash
    of; made_from: checksums of what was read; few: choices inside fewer mapping images than all, ascending; checksum:
    of the record, empty before it is written.
    """

    run: str
    way: str
    hierarchy: bool
    inner_splits: int
    definition: dict[str, Any]
    made_from: dict[str, str]
    provenance: dict[str, Any]
    few: list[FewImagesChoice] = field(default_factory=list)
    checksum: str = ""


def write_commitment(path: str | Path, commitment: Commitment) -> None:
    """Write the record of a commitment, whole or not at all."""
    content: Mapping[str, Any] = {**asdict(commitment), FORMAT_KEY: COMMITMENT_FORMAT}
    write_record(path, {key: value for key, value in content.items() if key != CHECKSUM})


def read_commitment(path: str | Path) -> Commitment:
    """The commitment at `path`.

    Raises DataError as `read_record_of_run`, for keys and values that no commitment has, and for one without layers.
    """
    record = read_record_of_run(path, COMMITMENT_FORMAT, DELETE_AND_RERUN)
    content = {key: value for key, value in record.items() if key != FORMAT_KEY}
    commitment = from_json(content, Commitment, Place(path), "a file of chosen layers", DELETE_AND_RERUN)
    if not commitment.layers:
        what, allowed = "no layers are committed to in this file", "a list of layers"
        raise DataError(
            Problem(what=what, where=str(path), value=commitment.layers, allowed=allowed, fix=DELETE_AND_RERUN)
        )
    return commitment
