"""The public tables, read once for each file of tests."""

import pandas as pd
import pytest

from neuroscaling.reproductions.gokce2025.published_scores import published_table


@pytest.fixture(scope="module")
def csv(published_dir):
    return pd.read_csv(published_dir / "benchmark_scores.csv")


@pytest.fixture(scope="module")
def table(published_dir):
    return published_table(published_dir / "benchmark_scores.csv", published_dir / "seed_data_scaling.csv")
