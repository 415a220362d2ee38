"""The study file as a whole, and its section about published tables.

config/README.md and config/schema.json are generated from here (`neuroscaling schema`). Light: imports no torch.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from neuroscaling.study.sections.datasets import Dataset
from neuroscaling.study.sections.encoding import OF_ALL_LAYERS, Encoding
from neuroscaling.study.sections.extraction import Extraction, Layers, Reduction
from neuroscaling.study.sections.key_types import (
    AUTO,
    NAME,
    Folders,
    NamedPath,
    OptionalFolder,
    PerJob,
    Section,
    Text,
    fixed_size,
)
from neuroscaling.study.sections.networks import Runs, Training
from neuroscaling.study.sections.own_scores import OwnScores
from neuroscaling.study.sections.recordings import BrainScore, SimulatedBrain


class Published(Section):
    """Scores that others published, instead of networks of one's own: Gokce & Schrimpf 2025."""

    example: ClassVar[str] = "{}"

    published_dir: OptionalFolder = Field(
        None, description="Folder with the public tables; without it they are downloaded (docs/data.md)."
    )
    trajectories: bool = Field(
        False,
        description="Put the scores of checkpoints in the table too (column `scored_at`), each with its epochs, images "
        "seen and passes.",
    )


class Study(Section):
    """A study file."""

    former: ClassVar[dict[str, str]] = {"pack": "runs_per_job"}

    study: str = Field(pattern=NAME, description="Name of the study; results go to results/<name>/.")
    title: str = Field("", description="Title of the report.")
    store: Folders = Field(
        Path("store"),
        description="Folder of runs, activations and scores; several studies share it. Of a list of folders all are "
        "read, and the first is written to.",
    )
    protocol: Literal["corrected", "parity"] = Field(
        "corrected", description="`corrected`, or `parity`: as published, quirks included."
    )
    datasets: dict[Annotated[str, Field(pattern=NAME)], Dataset] = Field({}, description="Image data sets by name.")
    runs: list[Runs] = Field(
        [], description="Which networks: a list of groups. Needed unless `published` or `scores` is there."
    )
    scores: OwnScores | None = Field(
        None, description="A table of scores or losses of one's own in place of runs (docs/score-tables.md)."
    )
    published: Published | None = Field(
        None, description="Published scores in place of runs: `{}`, or `published_dir:`. Nothing is trained or scored."
    )
    training: Training = Field(Training(), description="How networks are trained; changes no weights.")
    layers: dict[Text, Layers] = Field({}, description="Layers by architecture, where the defaults don't suit.")
    candidates: Literal["default", "family", "block", "relu", "conv", "norm", "all"] = Field(
        "default",
        description="Layers to extract where `layers:` names none: the architecture's own, the kinds that were chosen "
        "for its family in the published study, or a pattern.",
    )
    reduction: Reduction = Field(Reduction(), description="What is kept of each layer's activations.")
    extraction: Extraction = Field(Extraction(), description="How activations are computed and stored.")
    runs_per_job: PerJob = Field(
        AUTO,
        description="Networks of one architecture that share their jobs of extraction, Brain-Score and encoding: for "
        "small networks, whose jobs would spend their time starting up. Every network keeps its own files. `auto`: on "
        "a cluster as many as take up to an hour by their plan, 50 at most; else one.",
    )
    sets_per_job: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Stimulus sets, recordings of Brain-Score, or subjects that one job of a network takes one after "
        "another; None: all. For sites whose jobs must be short, and to use more cores with few networks.",
    )
    simulated: dict[Annotated[str, Field(pattern=NAME)], SimulatedBrain] = Field(
        {}, description="Simulated brains by name (for the demo and for tests)."
    )
    brainscore: BrainScore | None = Field(None, description="Brain-Score benchmarks.")
    encoding: list[Encoding] = Field([], description="Encoding of fMRI or recordings, a list of sources.")
    accuracy: bool = Field(
        False,
        description="Validation accuracy as rows of the score table too: benchmark `validation`, region `accuracy`.",
    )
    fits: list[NamedPath] = Field([], description="Files of laws to fit, e.g. [config/fits/demo.yaml].")
    claims: list[NamedPath] = Field(
        [], description="Files of claims that the report judges by the fits, e.g. [config/claims/gokce2025.yaml]."
    )

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Networks that are nowhere named, or named beside scores that are there; jobs that are split and joined."""
        ready = [key for key in ("published", "scores") if getattr(self, key) is not None]
        if not ready and not self.runs:
            yield ("runs",), "`runs:` is missing: name at least one group of networks"
        own = [key for key in ("runs", "datasets", "brainscore", "encoding", "simulated") if getattr(self, key)]
        others = [*ready[1:], *own]
        if ready and others:
            yield (ready[0], *others), f"`{ready[0]}` stands in place of runs and data: drop {', '.join(others)}"
        if self.extraction.slices > 1 and fixed_size(self.runs_per_job) > 1:
            what = "`extraction: slices` splits a network's extraction and `runs_per_job` joins several: drop one"
            yield ("extraction.slices", "runs_per_job"), what
        yield from self._of_all_layers()

    def _of_all_layers(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Layers together where features have no intercept, or penalties no unit."""
        asked = [(metric, entry) for entry in self.encoding for metric in OF_ALL_LAYERS if metric in entry.metrics]
        if asked and self.protocol == "parity":
            yield ("protocol", "encoding"), f"`{asked[0][0]}` has no counterpart in `protocol: parity`: drop one"
        if any(metric == "banded" and entry.ridge.relative is False for metric, entry in asked):
            yield ("encoding",), "`banded` scales each layer, so `ridge: {relative: false}` has no meaning: drop one"
