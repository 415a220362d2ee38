"""What the files of a pack are called and say; `writing` makes them, `reading` opens them (docs/formats.md).

A folder has a manifest for each split, which names its index and its shards with their sizes and checksums. A shard
`jpeg` is the bytes of image files, one after another; `decoded` is an .npy array uint8 (n, size, size, 3).
"""

from pathlib import Path
from typing import Any

from neuroscaling.core.reading import reading
from neuroscaling.core.records import read_record
from neuroscaling.errors import DataError, Problem, nearest

FORMAT, SHARD_FORMAT = "pack/2", "pack-shard/1"
AGAIN = "pack again"
FORMS = ("jpeg", "decoded")
# Columns of a split's index, in the order of the data set. offset: in bytes, or rows of a decoded shard; length: in
# bytes, or 1; 0 where an image is corrupt. crc32c: of what is stored of the image.
COLUMNS = ("image_id", "label", "shard", "offset", "length", "crc32c")


def manifest_file(folder: Path, split: str) -> Path:
    """The manifest of a split, a record, in the folder of a pack."""
    return Path(folder) / f"{split}.json"


def pack_facts(folder: Path, split: str) -> dict[str, Any]:
    """What the manifest of a split says.

    dataset, fingerprint, split, class_names, n_images; form, size (None: files as they were), quality; corrupt: ids of
    images that are missing; index and shards: file, bytes and sha256 of each. Raises DataError when it is missing,
    altered or of another format.
    """
    manifest = manifest_file(folder, split)
    facts = read_record(manifest, FORMAT, AGAIN)
    with reading(manifest, "the manifest of a pack", AGAIN):
        for file in pack_files(facts):
            file["file"], file["bytes"], file["sha256"]
        facts["dataset"], facts["class_names"], facts["fingerprint"], facts["form"]
    return facts


def pack_files(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The index and all shards."""
    return [facts["index"], *facts["shards"]]


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
