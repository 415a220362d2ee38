"""The published tables become frames with one row a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.score_scales import scale_examples
from neuroscaling.core.score_table import require_columns
from neuroscaling.laws.filters import merged_families
from neuroscaling.laws.finished_law import FinishedLaw, law_called
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.reproductions.gokce2025.published_scores import CHECKPOINT, read_csv

if TYPE_CHECKING:
    import pandas as pd


NEURAL = ["V1", "V2", "V4", "IT"]
REGIONS = [*NEURAL, "Behavioral"]
SCORES = [*REGIONS, "neural", "average"]
DATASETS = ["imagenet", "ecoset"]  # of the 620 models that the laws of compute are fitted to
KINDS = ["is_pretrained", "is_random", "is_ssl", "is_adv", "is_ablation"]
FACTS = [
    "arch", "arch_family", "dataset", "samples_per_class", "seed", "n_params", "n_samples_seen", "total_flops",
    "total_flops_pretrained", "acc", *KINDS, "ssl_method", "adv_method",
]  # fmt: skip
CHECKPOINT_FACTS = ["model_id", "epochs", "arch", "arch_family", "dataset", "ssl_method"]
PRIVATE = {
    "V1": "FreemanZiemba2013.V1-pls", "V2": "FreemanZiemba2013.V2-pls", "V4": "MajajHong2015.V4-pls",
    "IT": "MajajHong2015.IT-pls", "Behavioral": "Rajalingham2018-i2n",
}  # fmt: skip


@dataclass(frozen=True)
class PublishedData:
    """All that the figures draw from.

    models: one row a model (see `models`); checkpoints: one row a model and epoch; private: one row a model with the
    scores of the private benchmarks; fits: finished fits by name, with their resamples.
    """

    models: pd.DataFrame = field(repr=False)
    checkpoints: pd.DataFrame = field(repr=False)
    private: pd.DataFrame = field(repr=False)
    fits: Mapping[str, FitRecord] = field(repr=False)

    def law(self, name: str) -> FinishedLaw | None:
        """The law called `name`; None where there is no such fit or where it is not testable."""
        return law_called(self.fits, name)


def model_frame(table: pd.DataFrame) -> pd.DataFrame:
    """One row a model of the score table, sorted by `run`: FACTS, V1 ... Behavioral, neural, average, family, flex.

    neural: mean of V1, V2, V4 and IT; average: mean of the five (paper section 13). A mean with an empty score among
    its parts is empty: it could not be compared with the others. family: `arch_family` with the flexible variants
    merged; flex: whether it is one of these. Rows of other regions, and of checkpoints, are left out. Raises DataError
    for absent columns and for a score given twice.
    """
    require_columns(table, ["run", "region", "score", *FACTS], "score table")
    rows = table[table["region"].isin(REGIONS)]
    if "scored_at" in rows:
        rows = rows[rows["scored_at"] != CHECKPOINT]
    _check_unique(rows, ["run", "region"])
    _check_scales(rows)
    facts = rows.drop_duplicates("run").set_index("run")[FACTS]
    return _with_family(facts.join(_means(rows, "run"))).sort_index().reset_index()


def checkpoint_frame(path: str | Path) -> pd.DataFrame:
    """One row a model and epoch of benchmark_scores_ckpts.csv: CHECKPOINT_FACTS, the scores, family, flex.

    Its column total_flops follows another convention than that of the score table and is not read (paper section 8).
    """

    table = read_csv(path)
    require_columns(table, ["region", "score", *CHECKPOINT_FACTS], str(path))
    keys = ["model_id", "epochs"]
    _check_unique(table, [*keys, "region"])
    facts = table.drop_duplicates(keys).set_index(keys)[[c for c in CHECKPOINT_FACTS if c not in keys]]
    return _with_family(facts.join(_means(table, keys))).sort_index().reset_index()


def private_frame(path: str | Path) -> pd.DataFrame:
    """One row a model of benchmark_scores_brainscore.csv: model_id, the five leaf benchmarks, their mean as `average`.

    The averages in the file count missing leaves as 0 in some rows, so they are not read (paper section 8).
    """

    table = read_csv(path)
    require_columns(table, ["model_id", *PRIVATE.values()], str(path))
    scores = table[["model_id", *PRIVATE.values()]].set_axis(["model_id", *PRIVATE], axis=1)
    return scores.assign(average=scores[REGIONS].mean(axis=1, skipna=False))


def supervised(frame: pd.DataFrame, datasets: Iterable[str] = DATASETS) -> pd.DataFrame:
    """Models trained from scratch with labels on one of `datasets`: 620 on imagenet and ecoset."""
    return frame[~frame[KINDS].any(axis=1) & frame["dataset"].isin(list(datasets))]


def at_published_sizes(frame: pd.DataFrame) -> pd.DataFrame:
    """ConvNeXt and ViT only at 300 images per class and at full data, as in the published laws of samples."""
    return frame[~frame["family"].isin(["ConvNeXt", "ViT"]) | frame["samples_per_class"].isin([0, 300])]


def _means(rows: pd.DataFrame, keys: str | list[str]) -> pd.DataFrame:
    scores = rows.pivot(index=keys, columns="region", values="score").reindex(columns=REGIONS)
    means = {"neural": scores[NEURAL].mean(axis=1, skipna=False), "average": scores.mean(axis=1, skipna=False)}
    return scores.assign(**means)


def _with_family(frame: pd.DataFrame) -> pd.DataFrame:
    family = merged_families(frame)["arch_family"]
    return frame.assign(family=family, flex=(family != frame["arch_family"]).astype(bool))


def _check_scales(rows: pd.DataFrame) -> None:
    """Raise DataError where networks of one region are on different scales; `average` mixes regions, as published."""
    if "scale" not in rows:
        return
    problems = []
    for region, own in rows.groupby("region"):
        if own["scale"].nunique(dropna=False) > 1:
            what, fix = "scores of one region on more than one scale", "filter the table by `scale`"
            found = scale_examples(own, own["run"].astype(str).tolist())
            problems.append(
                Problem(what=what, where=f"score table: region {region}", value=found, allowed="one scale", fix=fix)
            )
    if problems:
        raise DataError(problems)


def _check_unique(rows: pd.DataFrame, keys: list[str]) -> None:
    twice = rows[rows.duplicated(keys)]
    if len(twice):
        found = listing([" ".join(map(str, row)) for row in twice[keys].itertuples(index=False)], 3)
        raise DataError(
            Problem(
                what=f"{len(twice)} scores are given twice",
                where=" and ".join(keys),
                value=found,
                allowed="one score each",
            )
        )
