"""Memory of a scoring job: what it would take, what it may take, and the refusal."""

import resource
from pathlib import Path

import pytest

from neuroscaling.brainscore.environment import estimate_mb, limit_mb, refuse_above_limit
from neuroscaling.core.errors import DataError


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No limit of a job in which these tests may run."""
    for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)


def test_inner_products_take_less_than_features():
    stock = estimate_mb(3200, 100_000, 168, "stock", ("features",))
    kernel = estimate_mb(3200, 100_000, 168, "kernel", ("gram",))
    assert kernel < 1400 < 9000 < stock
    assert estimate_mb(3200, 1000, 168, "kernel", ("features",)) < kernel


def test_memory_grows_with_stimuli_and_targets():
    sizes = [(1000, 100), (2000, 100), (2000, 5000)]
    estimates = [estimate_mb(n, 10_000, m, "kernel", ("gram",)) for n, m in sizes]
    assert estimates == sorted(estimates) and estimates[0] < estimates[1] < estimates[2]


def test_the_smallest_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "memory.max").write_text("max\n")
    unlimited = limit_mb(tmp_path)
    assert unlimited > 100
    (tmp_path / "memory.max").write_text(f"{300 << 20}\n")
    assert limit_mb(tmp_path) == (300 << 20) // 1_000_000
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "200")
    assert limit_mb(tmp_path) == (200 << 20) // 1_000_000
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "40")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "2")
    assert limit_mb(tmp_path) == (80 << 20) // 1_000_000


def test_limits_of_the_older_groups_and_of_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{150 << 20}")
    assert limit_mb(tmp_path) == (150 << 20) // 1_000_000
    monkeypatch.setattr(resource, "getrlimit", lambda _: (50 << 20, 50 << 20))
    assert limit_mb(tmp_path) == (50 << 20) // 1_000_000


def test_a_job_that_would_outgrow_its_memory_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1000")
    refuse_above_limit(100, "layer4", "IT-pls")
    with pytest.raises(DataError) as error:
        refuse_above_limit(5000, "layer4", "IT-pls")
    assert all(word in str(error.value) for word in ("5000 MB", "1048 MB", "keep: gram", "projection", "mem_mb"))
