"""Two arrays hold millions of names, which are decoded when they are looked at."""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

CHUNK = 65_536  # names that are unpacked at once
ASCII = 128


class Names(Sequence[str]):
    """An immutable sequence of names that are decoded when they are looked at.

    text: uint8 (bytes of all names), the names one after another; ends: int64 (n,), where each of them ends.
    """

    def __init__(self, text: np.ndarray, ends: np.ndarray):
        self.text = text
        self.ends = ends

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, item: Any) -> Any:
        """Return the name at a position; for a slice, a list."""
        if isinstance(item, slice):
            return [self[i] for i in range(*item.indices(len(self)))]
        row = range(len(self))[item]
        start = int(self.ends[row - 1]) if row else 0
        return os.fsdecode(self.text[start : int(self.ends[row])].tobytes())

    def __iter__(self) -> Iterator[str]:
        return map(os.fsdecode, self.encoded())

    def encoded(self) -> Iterator[bytes]:
        """Yield the names as bytes, in order; faster than one by one."""
        start = 0
        for first in range(0, len(self), CHUNK):
            ends = self.ends[first : first + CHUNK].tolist()
            offset, text = start, self.text[start : ends[-1]].tobytes()
            for end in ends:
                yield text[start - offset : end - offset]
                start = end


def pack_names(names: Iterable[str]) -> Names:
    """Return `names` in their order."""
    if isinstance(names, Names):
        return names
    encoded = [os.fsencode(name) for name in names]
    return names_of(b"".join(encoded), [len(name) for name in encoded])


def names_of(text: bytes | bytearray, lengths: Sequence[int]) -> Names:
    """Return names that stand one after another in `text`; lengths: bytes of each."""
    return Names(np.frombuffer(text, np.uint8), _ends(lengths, len(lengths)))


def join_names(parts: Sequence[Names]) -> Names:
    """Return the names of all `parts`, one part after another."""
    lengths = chain.from_iterable(np.diff(part.ends, prepend=0).tolist() for part in parts)
    text = np.concatenate([part.text for part in parts]) if parts else np.empty(0, np.uint8)
    return Names(text, _ends(lengths, sum(map(len, parts))))


def numbered_names(prefix: str, n: int, digits: int) -> Names:
    """`<prefix>0000000` and on: `n` names that end in `digits` digits."""
    start = np.frombuffer(prefix.encode(), np.uint8)
    text = np.empty((n, len(start) + digits), np.uint8)
    text[:, : len(start)] = start
    for place in range(digits):
        text[:, -1 - place] = ord("0") + np.arange(n) // 10**place % 10
    return Names(text.reshape(-1), np.arange(1, n + 1, dtype=np.int64) * text.shape[1])


def encoded_names(names: Sequence[str]) -> Iterable[bytes]:
    """Return the names as bytes, of any sequence."""
    return names.encoded() if isinstance(names, Names) else map(os.fsencode, names)


def names_not_in_utf8(names: Sequence[str]) -> list[str]:
    """Return those of `names` that are no text in UTF-8, as on disks of another encoding; in escapes, to be printed."""
    if isinstance(names, Names) and names.text.max(initial=0) < ASCII:
        return []
    strange = (name for name in encoded_names(names) if not name.isascii() and not _is_utf8(name))
    return [name.decode(errors="backslashreplace") for name in strange]


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _ends(lengths: Iterable[int], n: int) -> np.ndarray:
    return np.cumsum(np.fromiter(lengths, np.int64, n), dtype=np.int64)
