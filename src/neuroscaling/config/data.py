"""Where recordings come from."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from neuroscaling.config.base import OptionalFolder, Section


class SimulatedBrain(Section):
    """A simulated brain: recordings and fMRI made from real images by a known rule. Never real data."""

    seed: int = Field(0, description="Seed of everything that is drawn.")
    stimuli: int = Field(
        200, ge=100, le=360, description="Images in the simulated recordings; behaviour shows half of them."
    )
    neuroids_per_region: int = Field(20, ge=2, description="Simulated recording sites per region.")
    repetitions: int = Field(4, ge=2, description="Repetitions of each image in the electrophysiology.")
    algonauts_subjects: int = Field(2, ge=1, le=8, description="Subjects of the simulated fMRI.")
    algonauts_train: int = Field(200, ge=20, description="Training images of the simulated fMRI.")
    algonauts_test: int = Field(60, ge=10, description="Test images of the simulated fMRI.")
    vertices: int = Field(120, ge=30, description="Vertices of the left hemisphere; the right has 8 % more.")


class SimulatedData(Section):
    """Data from a simulated brain of this study."""

    simulated: str = Field(description="A name from `simulated:`.")


class LocalData(Section):
    """Data from a folder."""

    local: Path = Field(description="The folder, in the layout that docs/data.md describes. `$VARIABLES` are replaced.")


class DownloadedData(Section):
    """Brain-Score's own files, fetched once by the `prefetch` rule into the store's read-only data directory."""

    download: Literal[True] = Field(
        description="`true`: fetched from where brainscore_vision keeps them; the one step that needs a network."
    )


class V4Data(Section):
    """The macaque V4 recordings of `encoding: v4`, as assemblies for benchmarks defined in the study."""

    v4: list[str] = Field(min_length=1, description="Session ids, e.g. ['210325'].")
    local_dir: OptionalFolder = Field(
        None, description="Folder in the public repository's layout; without it the sessions are downloaded."
    )


DATA_KINDS = ("simulated", "download", "v4")


def _kind_of_data(value: Any) -> str:
    keys = value if isinstance(value, dict) else value.__class__.model_fields
    return next((f"<{kind}>" for kind in DATA_KINDS if kind in keys), "<local>")


Data = Annotated[
    Annotated[SimulatedData, Tag("<simulated>")] | Annotated[LocalData, Tag("<local>")], Discriminator(_kind_of_data)
]
BrainScoreData = Annotated[
    Annotated[SimulatedData, Tag("<simulated>")]
    | Annotated[LocalData, Tag("<local>")]
    | Annotated[DownloadedData, Tag("<download>")]
    | Annotated[V4Data, Tag("<v4>")],
    Discriminator(_kind_of_data),
]
