"""A stimulus set of a study: its name in the store follows from what its images are and how wide they are seen."""

from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.hashing import ArtefactName
from neuroscaling.study.code_fingerprints import version_of
from neuroscaling.study.stimulus_sources import StimulusSource


@dataclass(frozen=True)
class StimulusSet:
    """A prepared stimulus set: its name in the store, where its images come from, and at which visual angle.

    needs: files that rules of ours write before it can be made.
    """

    made: ArtefactName
    sources: tuple[StimulusSource, ...]
    degrees: float | None
    needs: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the store."""
        return str(self.made)

    @classmethod
    def of(
        cls,
        readable: str,
        identity: object,
        sources: tuple[StimulusSource, ...],
        degrees: float | None = None,
        needs: tuple[Path, ...] = (),
    ) -> "StimulusSet":
        """The set that is `identity` (JSON: what the images are, wherever they lie) shown at `degrees`."""
        readable = readable if degrees is None else f"{readable}-{degrees:g}deg"
        definition = {"images": identity, "degrees": degrees, "version": version_of("stimuli")}
        return cls(ArtefactName(readable, definition), sources, degrees, needs)
