"""What recordings of one's own are called in the store, and what determines them: their contents, wherever they lie."""

from collections.abc import Sequence
from pathlib import Path

from neuroscaling.core.hashing import ArtefactName, content_hash, kept_sha256
from neuroscaling.study.code_fingerprints import code_of
from neuroscaling.study.own_arrays import OwnArrays, OwnImages, OwnStimuli, read_own_stimuli, read_own_units
from neuroscaling.study.stimulus_sources import ListedImages

DIGITS = 32


def array_recordings(arrays: OwnArrays, cache: Path) -> ArtefactName:
    """The prepared recordings of one's own arrays.

    cache: folder where the sha256 of the responses is kept, which are read whole once. Raises DataError for faulty
    tables.
    """
    stimuli, units = read_own_stimuli(arrays), read_own_units(arrays)
    ceilings = None if units.ceilings is None else units.ceilings.tolist()
    definition = {
        "responses": kept_sha256(arrays.responses, cache),
        "variable": arrays.variable,
        "axes": arrays.axes and list(arrays.axes),
        "stimuli": content_hash([stimuli.ids, stimuli.files, stimuli.rows, stimuli.splits], DIGITS),
        "units": content_hash([units.subjects, units.regions, units.ids, ceilings], DIGITS),
        "simulated": arrays.simulated,
        "code": code_of("arrays"),
    }
    return ArtefactName(f"arrays-{arrays.name}", definition)


def listed_images(shown: OwnImages, stimuli: OwnStimuli, degrees: float | None) -> ListedImages:
    """The images as a source of stimuli."""
    sha1: Sequence[str | None] = stimuli.sha1 or [None] * len(stimuli.ids)
    return ListedImages(shown.images, tuple(zip(stimuli.ids, stimuli.files, sha1, strict=True)), degrees)


def images_identity(source: ListedImages) -> dict[str, object]:
    """What tells listed images from others: their ids, files and, where they are stated, sha1s."""
    listed = content_hash([list(one) for one in source.images], DIGITS)
    return {"kind": "listed", "images": listed, "degrees": source.degrees}
