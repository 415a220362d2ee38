"""The section of the study file about checkpoints that others trained."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from neuroscaling.study.checkpoint_tables import Selection
from neuroscaling.study.sections.key_types import Epochs, NamedPath, Section, Seed, Text

Count = Annotated[int, Field(ge=1)]
Words = Annotated[list[Text], Field(min_length=1)]
Series = Literal["supervised", "simclr", "dino", "adversarial", "ablation"]
SUPERVISED: Series = "supervised"


class CheckpointRuns(Section):
    """Networks that others trained, with what is known of their training: as many runs as files are selected."""

    example: ClassVar[str] = "{checkpoints: gokce2025, dataset: [imagenet], epochs: latest}"

    checkpoints: NamedPath = Field(
        description="`gokce2025` for the published study's; or a table (CSV or parquet), or a folder of runs."
    )
    columns: dict[str, Text] = Field({}, description="What the table calls its columns: `{id: model_id, ...}`.")
    epochs: Epochs = Field(
        "latest", description="Which checkpoints of each network: the last one, all, or those after these epochs."
    )
    archs: Words | None = Field(None, description="Architectures to take; all where it is left out.")
    arch_family: Words | None = Field(None, description="Families to take, such as `ResNet`.")
    dataset: Words | None = Field(None, description="Data sets to take, as the table calls them.")
    samples_per_class: Annotated[list[Count | Literal["all"]], Field(min_length=1)] | None = Field(
        None, description="Training images per class to take."
    )
    seeds: Annotated[list[Seed], Field(min_length=1)] | None = Field(None, description="Seeds to take.")
    series: Annotated[list[Series], Field(min_length=1)] | None = Field(
        [SUPERVISED], description="Ways of training to take; null: all."
    )
    ema: bool | None = Field(
        None, description="Take the averaged weights (EMA) of each file, or not; null: what its table or layout says."
    )
    keep: bool = Field(True, description="Keep the weights after extraction; false: records and activations stay.")

    def selection(self) -> Selection:
        """Which checkpoints are meant."""
        lists = {
            "arch": self.archs,
            "arch_family": self.arch_family,
            "dataset": self.dataset,
            "samples_per_class": self.samples_per_class,
            "seeds": self.seeds,
            "series": self.series,
        }
        chosen = {key: None if values is None else tuple(values) for key, values in lists.items()}
        return Selection(epochs=self.epochs, **chosen)  # type: ignore[arg-type]  # each list holds what its key takes

    @property
    def source(self) -> Path:
        """The table or folder, or `gokce2025`."""
        return self.checkpoints
