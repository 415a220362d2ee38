"""Texts that users write become parts of file names: letters, digits, `_`, `.` and `-` alone."""

import re

from neuroscaling.core.hashing import content_hash

OTHERS = re.compile(r"[^A-Za-z0-9._-]")


def readable_name(text: str) -> str:
    """`text` with `-` in place of every other character: for names that something else tells apart."""
    return OTHERS.sub("-", text)


def distinct_name(text: str) -> str:
    """`text`, or where it has other characters a readable form of it that ends in its hash: no two texts meet in one.

    `a@112` becomes `a-112-88cec769`, and `a-112` stays as it is.
    """
    name = readable_name(text)
    return name if name == text else f"{name}-{content_hash(text)}"
