"""The checkpoints of Gokce & Schrimpf 2025, which lie open in a bucket, and what is known of their training.

`published_checkpoints.txt` has a line for each network; `python -m tools.published_checkpoints` writes it from the
public tables. Light: the Snakefile imports it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from neuroscaling.study.checkpoint_tables import ALL, Checkpoint

PUBLISHED_CHECKPOINTS = Path(__file__).with_suffix(".txt")
PUBLISHED = "gokce2025"
"""What a study calls them."""
PUBLISHED_SERVER = "https://epfl-neuroailab-scalinglaws.s3.eu-north-1.amazonaws.com/checkpoints"
PUBLISHED_COLUMNS = (
    "id", "arch", "series", "dataset", "samples_per_class", "seed", "n_samples", "n_epochs", "total_flops", "acc",
    "ema", "epochs",
)  # fmt: skip


def published_checkpoints() -> tuple[Checkpoint, ...]:
    """The checkpoints of Gokce & Schrimpf 2025 that say which architecture they are, at all their epochs.

    Images seen are `n_samples` times the epoch. FLOPs are in proportion to those of the published table, which are
    3 x 2 MACs for each image. Accuracy is that of the last epoch. Images were shown resized to 256 pixels and cut to
    224 (240 of 255 for EfficientNet-B1, all 288 for B2). The averaged weights of ConvNeXt and DeiT were scored.
    """
    return _published()


@cache
def _published() -> tuple[Checkpoint, ...]:
    lines = PUBLISHED_CHECKPOINTS.read_text(encoding="utf-8").splitlines()
    header, *rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return tuple(one for row in rows for one in _epochs_of(dict(zip(header, row, strict=True))))


CROPS = {"efficientnet_b1": 240 / 255, "efficientnet_b2": 1.0}
CROP = 224 / 256


def _epochs_of(row: Mapping[str, str]) -> Iterator[Checkpoint]:
    arch, per_class, n_epochs = row["arch"], int(row["samples_per_class"]), int(row["n_epochs"])
    network = Checkpoint(
        id=row["id"],
        place="",
        arch=arch,
        series=row["series"],
        dataset=row["dataset"],
        samples_per_class=per_class or ALL,
        seed=int(row["seed"]),
        n_samples=int(row["n_samples"]),
        n_epochs=n_epochs,
        ema=row["ema"] == "1",
        crop=CROPS.get(arch, CROP),
    )
    flops, acc = float(row["total_flops"] or "nan"), float(row["acc"] or "nan")
    for epoch in _epochs_in(row["epochs"]):
        yield replace(
            network,
            place=f"{PUBLISHED_SERVER}/{row['id']}/ep{epoch}.pt",
            epoch=epoch,
            n_epochs=epoch,
            n_samples_seen=int(row["n_samples"]) * epoch,
            total_flops=flops * epoch / n_epochs if flops == flops else None,
            acc=acc if acc == acc and epoch == n_epochs else None,
        )


def _epochs_in(words: str) -> Iterator[int]:
    """The epochs of `1-10,15-100/5`."""
    for word in words.split(","):
        span, _, step = word.partition("/")
        first, _, last = span.partition("-")
        yield from range(int(first), int(last or first) + 1, int(step or 1))
