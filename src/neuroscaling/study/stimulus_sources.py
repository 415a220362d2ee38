"""Images of a stimulus set come from sources, and each kind of source is an object that says where its images lie.

The manifest of a prepared set states what its sources are, and not where they lay: `content` gives that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Subjects = Sequence[str] | Literal["all"]


@dataclass(frozen=True)
class BrainScoreSets:
    """The named stimulus sets of Brain-Score below the folder `root`."""

    root: Path
    stimulus_sets: tuple[str, ...]

    def content(self) -> dict[str, object]:
        """What the images are, as JSON."""
        return {"kind": "brainscore", "stimulus_sets": list(self.stimulus_sets)}


@dataclass(frozen=True)
class RecordedSets:
    """Every stimulus set of Brain-Score that has recordings below the folder `root`."""

    root: Path

    def content(self) -> dict[str, object]:
        """What the images are, as JSON."""
        return {"kind": "brainscore_local"}


@dataclass(frozen=True)
class ImageFolder:
    """Images of a benchmark that a study defines. table: CSV of their ids and files; images: folder of the files.

    degrees: of visual angle that the width of an image takes; None where an image is shown as it is.
    """

    root: Path
    table: Path
    images: Path
    degrees: float | None = None

    def content(self) -> dict[str, object]:
        """What the images are, as JSON."""
        return {"kind": "folder", "degrees": self.degrees}


@dataclass(frozen=True)
class ListedImages:
    """Images of recordings of one's own, below the folder `root`. images: id, file and, where stated, sha1 of each.

    degrees: of visual angle that the width of an image takes; None where nobody says.
    """

    root: Path
    images: tuple[tuple[str, str, str | None], ...]
    degrees: float | None = None

    def content(self) -> dict[str, object]:
        """What the images are, as JSON."""
        return {"kind": "listed", "degrees": self.degrees}


@dataclass(frozen=True)
class AlgonautsTree:
    """Training and test images of subjects in the layout of the Algonauts 2023 Challenge."""

    root: Path
    subjects: Subjects = "all"

    def content(self) -> dict[str, object]:
        """What the images are, as JSON."""
        return {"kind": "algonauts2023", "subjects": _listed(self.subjects)}


@dataclass(frozen=True)
class NsdTree:
    """Images that subjects of the Natural Scenes Dataset saw, in its own layout; synthetic: with NSD-synthetic's."""

    root: Path
    subjects: Subjects = "all"
    synthetic: bool = False

    def content(self) -> dict[str, object]:
        """What the images are, as JSON."""
        return {"kind": "nsd", "subjects": _listed(self.subjects), **({"synthetic": True} if self.synthetic else {})}


@dataclass(frozen=True)
class V4Images:
    """Images of a session of V4 recordings, in the layout of the public repository."""

    root: Path
    session: str

    def content(self) -> dict[str, object]:
        """What the images are, as JSON."""
        return {"kind": "v4", "session": self.session}


@dataclass(frozen=True)
class ThingsImages:
    """Images in the folder `root` of THINGS that recordings showed. tvsd, fmri: trees of TVSD and of THINGS-fMRI.

    The same image has the same id in both, so that one set serves them.
    """

    root: Path
    tvsd: Path | None = None
    fmri: Path | None = None

    def content(self) -> dict[str, object]:
        """What the images are, as JSON."""
        sources = {"tvsd": self.tvsd, "things_fmri": self.fmri}
        return {"kind": "things", "shown_in": [name for name, tree in sources.items() if tree]}


StimulusSource = (
    BrainScoreSets | RecordedSets | ImageFolder | ListedImages | AlgonautsTree | NsdTree | V4Images | ThingsImages
)


def _listed(subjects: Subjects) -> list[str] | str:
    return subjects if isinstance(subjects, str) else list(subjects)
