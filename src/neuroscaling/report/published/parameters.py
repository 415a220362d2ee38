"""Alignment against the number of parameters, of the study's own networks and of pretrained ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroscaling.report.published.canvas import frame_y, label, legend, panels
from neuroscaling.report.published.curves import draw_law, law_handles
from neuroscaling.report.published.entry import DASHED, LEVEL, SEEDS, TWO_SCALES, Entry
from neuroscaling.report.published.frame import Study, supervised
from neuroscaling.report.published.marks import by_family, family_handles
from neuroscaling.report.style import INK, axis_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PRETRAINED_FAMILIES = [
    "ConvNeXt", "DaVit", "EfficientNet", "EfficientViT-B", "FastViT", "LeViT", "MaxxViT", "MobileViT", "ResNet", "ViT",
]  # fmt: skip


def full_data(study: Study) -> pd.DataFrame:
    """The supervised models that were trained with all images of their data set."""
    frame = supervised(study.models)
    return frame[frame["samples_per_class"] == 0]


def pretrained(study: Study) -> pd.DataFrame:
    """Pretrained models of the ten families whose number of parameters is known."""
    frame = study.models[study.models["is_pretrained"] & study.models["family"].isin(PRETRAINED_FAMILIES)]
    return frame[frame["n_params"].notna()]


def sizes(study: Study) -> Figure:
    """Average score against parameters at full data."""
    return _figure(full_data(study), study, "parameter_scaling", 3)


def pretrained_sizes(study: Study) -> Figure:
    """Average score against parameters of pretrained models."""
    return _figure(pretrained(study), study, "parameter_pretrained_scaling", 5)


def _figure(frame: pd.DataFrame, study: Study, law: str, columns: int) -> Figure:
    figure, (ax,) = panels(1, 1, panel=(6.2, 3.5), foot=0.8)
    by_family(ax, frame, "n_params", "average", size=16.0, alpha=0.6)
    curve = draw_law(ax, study, law, INK)
    label(ax, "", f"{axis_label('n_params')}, N", "Average alignment S", log=True)
    frame_y(ax, frame["average"], curve)
    legend(figure, [*family_handles(frame["family"]), *law_handles(color=INK)], columns)
    return figure


def _counts(study: Study) -> dict[str, Any]:
    frame = study.models
    chosen = frame[frame["is_pretrained"] & frame["family"].isin(PRETRAINED_FAMILIES)]
    shown = chosen[chosen["n_params"].notna()]
    return {
        "full": len(full_data(study)),
        "pretrained": len(shown),
        "no_size": len(chosen) - len(shown),
        "no_dataset": int(shown["dataset"].isna().sum()),
    }


SIZES = Entry(
    "fig2_params",
    "Alignment against model size at full data",
    f"Mean of the five benchmarks of {{full}} models trained with all images of ImageNet or ecoset. {LEVEL} {DASHED}",
    "At full data size and compute grow together, and families of different size differ in recipe. Parameters are "
    f"those of a head with 1000 classes. {SEEDS} {TWO_SCALES}",
    sizes,
    ("parameter_scaling",),
    corrected=True,
    facts=_counts,
)
PRETRAINED = Entry(
    "fig9_params_pretrained",
    "Alignment against model size of pretrained models",
    f"Mean of the five benchmarks of {{pretrained}} pretrained models of ten families. {LEVEL} {DASHED} The published "
    "law leaves out the {no_dataset} EfficientViT-B, whose data set is empty in the table; they are drawn.",
    "Data, recipe, objective and resolution differ between these models and are not controlled; the images seen and "
    "the compute in the table are placeholders. {no_size} models of these families have no number of parameters and "
    "are not drawn.",
    pretrained_sizes,
    ("parameter_pretrained_scaling",),
    corrected=True,
    facts=_counts,
)
