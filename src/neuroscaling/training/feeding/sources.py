"""Where a run's images are read: the data set's own files, or a pack of them."""

import logging
from pathlib import Path
from typing import Any

from neuroscaling.datasets.catalogue import FILES_LOOKED_AT, state_key
from neuroscaling.datasets.fingerprint import files_key
from neuroscaling.datasets.packs.format import manifest_file, pack_facts
from neuroscaling.datasets.packs.reading import PackSource, open_pack
from neuroscaling.datasets.packs.staging import staged
from neuroscaling.datasets.source import Source, open_source
from neuroscaling.errors import DataError, Problem
from neuroscaling.hashing import content_hash

log = logging.getLogger(__name__)
_opened: dict[str, Source] = {}  # by what was asked for: listings of large data sets take their time


def run_source(run: dict[str, Any], split: str, smallest: int | None, operating: dict[str, Any]) -> Source:
    """The images of one split of the run's data set.

    smallest: pixels that the short side has to have in a pack; None: nothing but the originals will do, and a pack of
    resized images is passed by. Raises DataError when a pack is of other images than the run's.
    """
    pack = pack_of(run, split, smallest, operating)
    # Between two runs of a process, files may come and go.
    state = None if pack else state_key(run["dataset"], run["dataset_settings"], [split])
    asked = [run["dataset"], run["dataset_settings"], split, run["fingerprint"], str(pack), state]
    key = content_hash(asked, 16)
    if key not in _opened:
        if not pack and (operating.get("packs") or {}).get(run["dataset"]):
            needed = f"images of {smallest} pixels" if smallest else "the originals"
            log.info("%s images are read from the data set's own files: its pack has not %s", split, needed)
        _opened[key] = _open_pack(run, split, pack, operating) if pack else _open_files(run, split, operating)
    return _opened[key]


def source_state(run: dict[str, Any], split: str, source: Source) -> str:
    """Changes when the images do that `source` reads: what is kept of them under it is of these very ones.

    Where a pack or large sets are read, a file that is overwritten by another one in place goes unnoticed.
    """
    if isinstance(source, PackSource):
        return content_hash(pack_facts(source.shards[0].parent, split), 32)
    state = state_key(run["dataset"], run["dataset_settings"], [split])
    return files_key(state, source) if len(source.index) <= FILES_LOOKED_AT else state


def pack_of(run: dict[str, Any], split: str, smallest: int | None, operating: dict[str, Any]) -> Path | None:
    """The folder of the pack that serves `run_source`, if there is one."""
    named = (operating.get("packs") or {}).get(run["dataset"])
    if not named or not manifest_file(Path(named), split).exists():
        return None
    size = pack_facts(Path(named), split)["size"]
    return Path(named) if size is None or (smallest is not None and size >= smallest) else None


def _open_pack(run: dict[str, Any], split: str, pack: Path, operating: dict[str, Any]) -> Source:
    source = open_pack(staged(pack, split, operating), split)
    if source.index.fingerprint != run["fingerprint"]:
        found, what = source.index.fingerprint, "the pack is of other images than the run's"
        raise DataError(Problem(what, str(pack), found, run["fingerprint"], fix="delete it and pack again"))
    return source


def _open_files(run: dict[str, Any], split: str, operating: dict[str, Any]) -> Source:
    cache = operating.get("cache_dir")
    settings = run["dataset_settings"]
    return open_source(run["dataset"], settings, split, run["fingerprint"], Path(cache) if cache else None)
