"""Where recordings come from."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from neuroscaling.config.base import AnyPath, OptionalFolder, Section, Seed, Sessions, Text, keys_of
from neuroscaling.simulate.settings import LIMITS, too_many_images


def _limited(key: str, default: int, description: str) -> Any:
    low, high, _ = LIMITS[key]
    return Field(default, ge=low, le=high, description=description)


class SimulatedBrain(Section):
    """A simulated brain: recordings and fMRI made from real images by a known rule. Never real data."""

    example: ClassVar[str] = "{seed: 0}"

    seed: Seed = Field(0, description="Seed of everything that is drawn.")
    stimuli: int = _limited("stimuli", 200, "Images in the simulated recordings; behaviour shows half of them.")
    neuroids_per_region: int = _limited("neuroids_per_region", 20, "Simulated recording sites per region.")
    repetitions: int = _limited("repetitions", 4, "Repetitions of each image in the electrophysiology.")
    algonauts_subjects: int = _limited("algonauts_subjects", 2, "Subjects of the simulated fMRI.")
    algonauts_train: int = _limited("algonauts_train", 200, "Training images of the simulated fMRI.")
    algonauts_test: int = _limited("algonauts_test", 60, "Test images of the simulated fMRI.")
    vertices: int = _limited("vertices", 120, "Vertices of the left hemisphere; the right has 8 % more.")

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """More images of the simulated fMRI than there are."""
        if what := too_many_images(self.algonauts_train, self.algonauts_test):
            yield ("algonauts_train", "algonauts_test"), what


class SimulatedData(Section):
    """Data from a simulated brain of this study."""

    example: ClassVar[str] = "{simulated: demo}"

    simulated: Text = Field(description="A name from `simulated:`.")


class LocalData(Section):
    """Data from a folder."""

    example: ClassVar[str] = "{local: FOLDER}"

    local: AnyPath = Field(
        description="The folder, in the layout that docs/data.md describes. `$VARIABLES` are replaced."
    )


class DownloadedData(Section):
    """Brain-Score's own files, fetched once by the `prefetch` rule into the store's read-only data directory."""

    example: ClassVar[str] = "{download: true}"

    download: Literal[True] = Field(
        description="`true`: fetched from where brainscore_vision keeps them; the one step that needs a network."
    )


class V4Data(Section):
    """The macaque V4 recordings of `encoding: v4`, as assemblies for benchmarks defined in the study."""

    example: ClassVar[str] = "{v4: ['210325']}"

    v4: Sessions = Field(description="Session ids, e.g. ['210325'].")
    local_dir: OptionalFolder = Field(
        None, description="Folder in the public repository's layout; without it the sessions are downloaded."
    )


DATA_KINDS = ("simulated", "download", "v4")


def _kind_of_data(value: Any) -> str | None:
    keys = keys_of(value)
    if keys is None:
        return None
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
