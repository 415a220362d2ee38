"""What the files of a pack are called and say; `writing` makes them, `reading` opens them (docs/formats.md).

manifest.json names the shards and the index of each split, with sizes and checksums. A shard `jpeg` is the bytes of
image files, one after another; `decoded` is an .npy array uint8 (n, size, size, 3).
"""

from pathlib import Path
from typing import Any

from neuroscaling.errors import DataError, Problem, nearest
from neuroscaling.files import read_json

FORMAT = "pack/1"
FORMS = ("jpeg", "decoded")
MANIFEST = "manifest.json"
# Columns of a split's index, in the order of the data set. offset: in bytes, or rows of a decoded shard; length: in
# bytes, or 1; 0 where an image is corrupt.
COLUMNS = ("image_id", "label", "shard", "offset", "length")


def pack_facts(manifest: Path) -> dict[str, Any]:
    """What the manifest says: dataset, fingerprint, form, size (None: files as they were), class_names, splits ....

    splits: for each its index and shards, each with file, bytes and sha256, and the ids of corrupt images. Raises
    DataError when it is missing or of another format.
    """
    facts = read_json(manifest)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else facts
        raise DataError(Problem("not a pack that this version reads", str(manifest), found, FORMAT, fix="pack again"))
    return facts


def pack_files(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Shards and indexes of all splits."""
    return [file for split in facts["splits"].values() for file in (split["index"], *split["shards"])]


def check_form(form: str, size: int | None) -> None:
    """Raise DataError unless a pack can have this form and size."""
    problems = []
    if form not in FORMS:
        problems.append(Problem("unknown form of a pack", "form", form, ", ".join(FORMS), nearest(form, FORMS)))
    if size is not None and size < 1:
        problems.append(Problem("size must be at least 1", "size", size))
    if size is None and form == "decoded":
        problems.append(Problem("decoded images all have one size", "size", size, "a number of pixels, such as 256"))
    if problems:
        raise DataError(problems)
