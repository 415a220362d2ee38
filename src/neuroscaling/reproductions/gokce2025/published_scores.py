"""The published scores become the score table of a study."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import reading
from neuroscaling.core.score_table import COLUMNS, absent_columns

if TYPE_CHECKING:
    import pandas as pd


SCORES_COLUMNS = [
    "model_id", "benchmark_id", "arch", "dataset", "n_params", "macs", "flops", "benchmark_name", "region",
    "n_samples", "samples_per_class", "n_epochs", "n_samples_seen", "total_flops", "score", "seed", "arch_family",
    "acc", "checkpoint_url", "is_pretrained", "is_random", "is_ssl", "ssl_method", "is_ablation", "is_open_clip",
    "is_adv", "adv_method",
]  # fmt: skip
SEED_COLUMNS = ["subject", "n_train", "mean_test_r", "mean_cv_score"]
# dtypes of the columns that our own tables have not; benchmark_id is missing where there is no published benchmark.
EXTRA_COLUMNS = {
    "model_id": "string", "benchmark_id": "Int64", "benchmark_name": "string", "checkpoint_url": "string",
    "is_ssl": "bool", "ssl_method": "string", "is_ablation": "bool", "is_open_clip": "bool", "is_adv": "bool",
    "adv_method": "string", "total_flops_pretrained": "float64", "epochs": "float64", "scored_at": "string",
}  # fmt: skip
END, CHECKPOINT, END_OF_TRAJECTORY = "end", "checkpoint", "end of trajectory"
"""Values of `scored_at`: the end of training; a checkpoint on the way; the end of one that has checkpoints here."""
CHECKPOINT_COLUMNS = [
    "model_id", "benchmark_id", "epochs", "arch", "dataset", "n_params", "macs", "flops", "benchmark_name", "region",
    "n_samples", "samples_per_class", "n_samples_seen", "score", "seed", "arch_family", "acc", "checkpoint_url",
    "is_pretrained", "is_random", "is_ssl", "ssl_method", "is_ablation",
]  # fmt: skip
FLAGS = ["is_pretrained", "is_random", "is_ssl", "is_ablation", "is_open_clip", "is_adv"]
PRETRAINING_IMAGES, PRETRAINING_EPOCHS = 1_281_167, 100  # of the networks that were fine-tuned adversarially
CHOSEN_BY_SEED = ("imagenet21kP-class-1000",)
"""Data sets whose seeds have each their own entry in layer_commitments.json."""
SEED_MODEL, SEED_LAYER = "eva02-clip-enormous", "31"
log = logging.getLogger(__name__)


def published_table(
    scores_csv: str | Path, seed_csv: str | Path | None = None, checkpoints_csv: str | Path | None = None
) -> pd.DataFrame:
    """The score table of the published study, in the row order of its file.

    scores_csv: benchmark_scores.csv, each of its columns kept under its own name and with its own values; the columns
    of `score_table.COLUMNS` that it lacks are added, and total_flops_pretrained: the training FLOPs with those
    of the pre-training, which total_flops of an adversarially fine-tuned network leaves out. Raw correlations, ceilings
    and errors were not published and stay empty. seed_csv: the fMRI scores of one pretrained model against the number
    of mapping images (8 subjects x 9 numbers), appended as rows of benchmark algonauts2023. checkpoints_csv:
    benchmark_scores_ckpts.csv, whose rows are appended too (`_checkpoint_rows`). Raises DataError for a file that isn't
    such a table.
    """
    import pandas as pd

    scores = _read(scores_csv, SCORES_COLUMNS)
    parts = [_score_rows(scores)]
    if checkpoints_csv is not None:
        checkpoints = _read(checkpoints_csv, CHECKPOINT_COLUMNS, ["model_id", "epochs", "benchmark_id"])
        followed = scores["model_id"].isin(checkpoints["model_id"])
        parts = [
            parts[0].assign(scored_at=followed.map({True: END_OF_TRAJECTORY, False: END})),
            _checkpoint_rows(checkpoints, scores),
        ]
    if seed_csv is None:
        log.info("no table of fMRI scores against mapping images was given: the table has no such rows")
    else:
        parts.append(_seed_rows(_read(seed_csv, SEED_COLUMNS)))
    dtypes = COLUMNS | EXTRA_COLUMNS
    return pd.concat([part.reindex(columns=list(dtypes)).astype(dtypes) for part in parts], ignore_index=True)


def read_csv(path: str | Path) -> pd.DataFrame:
    """The published table at `path`. Raises DataError for a missing or damaged file."""
    import pandas as pd

    with reading(path, "a readable CSV file", "fetch it again; see docs/data.md, the published tables"):
        return pd.read_csv(path)


def _read(path: str | Path, columns: list[str], key: list[str] | None = None) -> pd.DataFrame:
    """The CSV file at `path`, which must hold `columns`, with one row for each `key`, by default the first two."""
    table = read_csv(path)
    problems = absent_columns(table, columns, str(path))
    problems = problems or [*_type_problems(table, path), *_repeated(table, key or columns[:2], path)]
    if problems:
        raise DataError(problems)
    return table[columns]


def _type_problems(table: pd.DataFrame, path: str | Path) -> list[Problem]:
    """Columns of numbers or of True / False that hold something else; a cut-off file ends in such a row."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    wrong = [c for c in FLAGS if c in table and not is_bool_dtype(table[c])]
    kinds = COLUMNS | {"n_train": "float64", "mean_test_r": "float64", "mean_cv_score": "float64"}
    numbers = [c for c in table if kinds.get(c) in ("int64", "float64")]
    wrong += [c for c in numbers if not is_numeric_dtype(table[c])]
    wrong += [c for c in numbers if kinds[c] == "int64" and is_numeric_dtype(table[c]) and table[c].isna().any()]
    fix = "fetch the file again"
    return [
        Problem(what="a column holds other values than it should", where=f"{path}: {c}", fix=fix)
        for c in dict.fromkeys(wrong)
    ]


def _repeated(table: pd.DataFrame, key: list[str], path: str | Path) -> list[Problem]:
    twice = [" ".join(map(str, row)) for row in table.loc[table.duplicated(key), key].itertuples(index=False)]
    where = f"{path}: {', '.join(key)}"
    return (
        [Problem(what=f"{len(twice)} rows stand in the file twice", where=where, value=listing(twice, 3))]
        if twice
        else []
    )


def _score_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """Our columns beside those of benchmark_scores.csv."""
    behavior = scores["region"] == "Behavioral"
    layers_from = _chosen_on(scores).mask(behavior)
    return scores.assign(
        run=scores["model_id"],
        trajectory=scores["model_id"],
        epoch=scores["n_epochs"],
        kind=_kind(scores),
        data="gokce2025",
        simulated=False,
        benchmark=scores["benchmark_name"],
        metric=behavior.map({True: "i2n", False: "pls"}),
        subject="",
        scale=behavior.map({True: "r/sqrt(c)", False: "(r/c)2"}),
        protocol="parity",
        engine="stock",
        total_flops_pretrained=_with_pretraining(scores),
        layers_from=layers_from,
        layer_choice=layers_from.map(lambda run: "reported", na_action="ignore"),
        epochs=scores["n_epochs"],
        passes=_passes(scores),
        scored_at=END,
    )


def _chosen_on(scores: pd.DataFrame) -> pd.Series:
    """The network whose reported scores chose the layers of each trained one: seed 0 with all images of its data set.

    Choices of an architecture hold for one objective (supervised, SimCLR, DINO, adversarial; paper section 9).
    """
    cell = scores[["arch", "dataset", "is_ssl", "ssl_method", "is_adv", "adv_method", "is_ablation"]].astype("string")
    network = cell.fillna("").agg(" ".join, axis=1)
    trained = ~(scores["is_pretrained"] | scores["is_random"])
    first = trained & (scores["seed"] == 0) & (scores["samples_per_class"] == 0)
    chosen = scores[first].groupby(network[first])["model_id"].first()
    own = scores["dataset"].isin(CHOSEN_BY_SEED)
    return network.map(chosen).mask(own, scores["model_id"]).where(trained).astype("string")


def _passes(scores: pd.DataFrame) -> pd.Series:
    """How often each training image was seen; empty where nobody knows, or none was."""
    unknown = (scores["n_samples"] == 0) | scores["is_pretrained"] | scores["is_random"]
    return (scores["n_samples_seen"] / scores["n_samples"]).mask(unknown)


def _checkpoint_rows(checkpoints: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Our columns beside those of benchmark_scores_ckpts.csv: a row for each network, epoch and benchmark.

    run: `<model_id>-ep<epoch>`; n_epochs: epochs so far. macs, flops and total_flops follow the convention of the table
    of final scores, which counts forward and backward pass, and both views of SimCLR; this table counts neither.
    """
    final = scores.drop_duplicates("model_id").set_index("model_id")
    own = {name: checkpoints["model_id"].map(final[name]) for name in ("macs", "flops")}
    rows = checkpoints.assign(
        **own,
        n_epochs=checkpoints["epochs"],
        is_open_clip=False,
        is_adv=False,
        adv_method=None,
        total_flops=3 * own["flops"] * checkpoints["n_samples_seen"],
    )
    named = rows["model_id"] + "-ep" + rows["epochs"].astype(str)
    return _score_rows(rows).assign(run=named, scored_at=CHECKPOINT)


def _kind(scores: pd.DataFrame) -> pd.Series:
    kind = scores["is_pretrained"].map({True: "pretrained", False: "trained"})
    return kind.mask(scores["is_random"], "untrained")


def _with_pretraining(scores: pd.DataFrame) -> pd.Series:
    """Training FLOPs with those of the pre-training on all of ImageNet, counted once.

    The FLOPs of adversarial rows are doubled already (the attack's own step), so the pre-training takes half of them
    an image, times 3 for forward and backward. Networks trained adversarially from scratch had no pre-training.
    """
    fine_tuned = scores["is_adv"] & ~scores["adv_method"].astype("string").str.startswith("scratch").fillna(False)
    pretraining = 3 * scores["flops"] / 2 * PRETRAINING_EPOCHS * PRETRAINING_IMAGES
    return scores["total_flops"] + pretraining.where(fine_tuned.astype(bool), 0.0)


def _seed_rows(seed: pd.DataFrame) -> pd.DataFrame:
    """One row a subject and number of mapping images; architecture, data set and compute are not known and stay empty.

    samples_per_class and seed are 0, as for every run that was not trained here.
    """
    common = dict.fromkeys(FLAGS, False) | {
        "run": SEED_MODEL,
        "model_id": SEED_MODEL,
        "samples_per_class": 0,
        "seed": 0,
        "is_pretrained": True,
        "kind": "pretrained",
        "data": "matsuyama2023",
        "simulated": False,
        "benchmark": "algonauts2023",
        "metric": "ridge",
        "region": "all-vertices",
        "layer": SEED_LAYER,
        "scale": "r",
        "protocol": "parity",
        "engine": "published",
    }
    scores = {"subject": seed["subject"], "n_mapping": seed["n_train"], "score": seed["mean_test_r"]}
    return seed.assign(**common, **scores, raw=seed["mean_test_r"])
