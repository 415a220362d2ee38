"""The published scores of checkpoints as rows of the score table."""

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.score_table import KEY
from neuroscaling.laws.points import select_points
from neuroscaling.laws.study_fit import fit_table
from neuroscaling.reproductions.gokce2025.published_frames import model_frame
from neuroscaling.reproductions.gokce2025.published_scores import (
    CHECKPOINT,
    END,
    END_OF_TRAJECTORY,
    published_table,
)
from neuroscaling.study.sections.fit_files import expand_fits, load_fit_file
from tests.conftest import ROOT

PASSES = ROOT / "config/fits/published-passes.yaml"


@pytest.fixture(scope="module")
def trajectories(published_dir):
    """The table with its checkpoints."""
    names = "benchmark_scores.csv", "benchmark_scores_ckpts.csv"
    scores, checkpoints = (published_dir / name for name in names)
    return published_table(scores, checkpoints_csv=checkpoints)


def test_checkpoints_are_rows_of_runs_of_their_own(trajectories, csv):
    rows = trajectories[trajectories["scored_at"] == CHECKPOINT]
    assert len(rows) == 6450 and rows["model_id"].nunique() == 43 and not rows.duplicated(KEY).any()
    assert len(trajectories) == len(rows) + len(csv)
    ends = trajectories[trajectories["scored_at"] == END_OF_TRAJECTORY]
    assert set(ends["model_id"]) == set(rows["model_id"])
    np.testing.assert_array_equal(rows["passes"], rows["epochs"])
    np.testing.assert_array_equal(rows["n_samples"] * rows["passes"], rows["n_samples_seen"])


def test_compute_of_checkpoints_follows_the_table_of_ends(trajectories):
    """The table of checkpoints counts a third of it, and one view of SimCLR: the last epoch must meet the end."""
    rows = trajectories[trajectories["scored_at"] == CHECKPOINT].drop_duplicates(["model_id", "epochs"])
    ends = (
        trajectories[trajectories["scored_at"] == END_OF_TRAJECTORY].drop_duplicates("model_id").set_index("model_id")
    )
    last = rows.set_index("model_id").join(ends[["total_flops", "n_epochs"]].add_suffix("_end"))
    last = last[(last["epochs"] == last["n_epochs_end"]) & last["total_flops_end"].notna()]
    assert len(last) == 40
    np.testing.assert_allclose(last["total_flops"], last["total_flops_end"], rtol=1e-12)


def test_figures_take_the_ends_alone(trajectories, table):
    pd.testing.assert_frame_equal(model_frame(trajectories), model_frame(table))


def test_without_checkpoints_the_table_is_of_ends(table):
    assert set(table["scored_at"].dropna()) == {END}


def test_passes_and_images_vary_apart_in_the_two_tables_together(trajectories):
    (job,) = [job for job in expand_fits(load_fit_file(PASSES)) if job.name == "passes.IT"]
    x = select_points(trajectories, job.settings).x
    assert x.shape == (1372, 3)
    assert abs(np.corrcoef(np.log(x[:, 1]), np.log(x[:, 2]))[0, 1]) < 0.5
    compared = fit_table(
        trajectories,
        job.settings
        | {"bootstraps": 0, "filters": job.settings["filters"] | {"arch": ["resnet18", "resnet50", "alexnet"]}},
    )[0]["compared"]
    three, two = (next(row for row in compared if row["form"] == form) for form in ("data_constrained", "chinchilla"))
    assert (
        three["loss"] <= two["loss"] * (1 + 1e-6) and three["holdout"]["n_held_out"] == two["holdout"]["n_held_out"] > 0
    )
