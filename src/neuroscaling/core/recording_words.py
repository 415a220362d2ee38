"""What the targets of recordings are, and whose they are, in the words of their field."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordingWords:
    """unit: one target; units: several; group: those that were recorded together, over which intervals are drawn."""

    unit: str
    units: str
    group: str

    @property
    def groups(self) -> str:
        """Several of `group`."""
        return f"{self.group}s"


VERTICES = RecordingWords("vertex", "vertices", "subject")
VOXELS = RecordingWords("voxel", "voxels", "subject")
SITES = RecordingWords("site", "sites", "monkey")
NEURONS = RecordingWords("neuron", "neurons", "session")
UNITS = RecordingWords("unit", "units", "subject")
"""Of recordings of which nobody said more."""
