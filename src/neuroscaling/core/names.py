"""Names in the store: a readable part, and eight digits of the hash of everything that determines the content."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from neuroscaling.hashing import content_hash

DIGITS = 8


@dataclass(frozen=True)
class Name:
    """What an artefact is called.

    definition: what determines its content: the names of its inputs, settings, and the code behind it. What does not
    (batch size, device, paths, machine, seconds) is not in it.
    """

    readable: str
    definition: Mapping[str, Any] = field(hash=False)

    @cached_property
    def key(self) -> str:
        """The digits that tell it from others of the same readable part."""
        return key_of(self.definition)

    def __str__(self) -> str:
        return f"{self.readable}-{self.key}"


def key_of(definition: Mapping[str, Any]) -> str:
    """The last digits of the name of what is determined by `definition`."""
    return content_hash(dict(definition), DIGITS)
