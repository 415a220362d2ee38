"""Versions of dear stages: code that changed is confirmed by a small recorded case, or its number is raised."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neuroscaling.study import code_fingerprints
from neuroscaling.study.code_fingerprints import VERSIONED_STAGES, confirmed_path, stage_parts, unconfirmed, version_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("stage", VERSIONED_STAGES)
def test_the_code_of_a_dear_stage_is_the_one_that_its_version_was_confirmed_for(stage):
    changed = unconfirmed(stage)
    assert not changed, (
        f"{', '.join(changed[:5])} and {len(changed)} modules in all are not those that version {version_of(stage)} of "
        f"`{stage}` was confirmed for. Run `python tools/confirm.py {stage}`: it says whether the results are still "
        "equal, or the version has to be raised (CONTRIBUTING.md)"
    )


def test_a_version_is_confirmed_for_its_own_number_alone(monkeypatch):
    monkeypatch.setattr(code_fingerprints, "version_of", lambda stage: 10**6)
    assert unconfirmed("subsets") == sorted(stage_parts("subsets"))


def test_stages_hold_what_they_compute_and_not_what_reports_or_writes():
    parts = {stage: set(stage_parts(stage)) for stage in VERSIONED_STAGES}
    assert "training/feeding/crops.py" in parts["training"]
    assert "training/self_supervised_objectives.py" in parts["training"]
    assert "activations/reductions.py" in parts["extraction"]
    assert not [module for found in parts.values() for module in found if module.startswith(("laws/", "report/"))]
    assert not [module for module in parts["training"] if module.startswith(("stimuli/", "activations/"))]
    assert not {"core/files.py", "core/errors.py", "core/leases.py", "core/provenance.py"} & set().union(
        *parts.values()
    )


@pytest.fixture
def clone(tmp_path):
    """A copy of the source in which `edit` replaces text, and `confirm` runs the tool."""
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "neuroscaling", tmp_path / "src" / "neuroscaling", ignore=skipped)
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=skipped)

    class Clone:
        draws = tmp_path / "src" / "neuroscaling" / "datasets" / "subset_sampling.py"
        numbers = tmp_path / "src" / "neuroscaling" / "study" / "versions.json"

        def edit(self, old, new):
            text = self.draws.read_text()
            assert old in text
            self.draws.write_text(text.replace(old, new))

        def confirm(self, *arguments):
            command = [sys.executable, tmp_path / "tools" / "confirm.py", *arguments]
            return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

        def recorded(self):
            return json.loads(confirmed_path("subsets", tmp_path).read_text())

    return Clone()


def test_another_name_of_a_variable_is_confirmed_and_another_formula_refused_until_the_number_is_raised(clone):
    clone.edit("ranked", "in_order")
    before, version = clone.recorded(), version_of("subsets")
    done = clone.confirm("subsets")
    assert done.returncode == 0, done.stderr
    assert f"results are equal; version {version} is confirmed" in done.stdout
    after = clone.recorded()
    assert after["results"] == before["results"]
    assert after["parts"]["datasets/subset_sampling.py"] != before["parts"]["datasets/subset_sampling.py"]

    clone.edit("digest()[:8]", "digest()[1:9]")
    done = clone.confirm("subsets")
    assert done.returncode == 1
    assert "python tools/confirm.py subsets --raise" in done.stderr
    assert clone.recorded() == after

    done = clone.confirm("subsets", "--raise")
    assert done.returncode == 0, done.stderr
    assert json.loads(clone.numbers.read_text())["subsets"] == clone.recorded()["version"] == version + 1
    assert clone.recorded()["results"] != before["results"]
    assert clone.confirm("subsets").returncode == 0


def test_a_stage_that_there_is_not_is_named_with_the_nearest(clone):
    done = clone.confirm("trainings")
    assert done.returncode == 2
    assert "did you mean training?" in done.stderr
