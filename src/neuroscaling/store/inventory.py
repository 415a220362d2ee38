"""What is in a store, by one look at each folder: thousands of names are asked for whenever a study is started."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from neuroscaling.paths import Store


@dataclass(frozen=True)
class Inventory:
    """The files of a store, each folder as it was when it was first asked for.

    empty: as if nothing were there, for the graph of the rules.
    """

    store: Store
    empty: bool = False
    _listed: dict[str, frozenset[str]] = field(default_factory=dict, compare=False)

    def has(self, path: Path) -> bool:
        """Whether what is written to `path` is there, in any folder of the store."""
        if self.empty:
            return False
        if path.name in self._names(path.parent):
            return True
        if not self.store.others:
            return False
        inside = path.relative_to(self.store.root)
        return any(inside.name in self._names((folder / inside).parent) for folder in self.store.others)

    def _names(self, folder: Path) -> frozenset[str]:
        key = str(folder)
        if key not in self._listed:
            try:
                self._listed[key] = frozenset(os.listdir(key))
            except OSError:
                self._listed[key] = frozenset()
        return self._listed[key]
