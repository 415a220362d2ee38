"""The locks for pip and the files for conda name the same versions."""

import importlib.util
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ENVS = Path(__file__).parents[2] / "envs"
spec = importlib.util.spec_from_file_location("pins", ENVS / "pins.py")
pins = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pins)


@pytest.mark.parametrize("name", ["main", "brainscore"])
def test_conda_file_agrees_with_the_lock(name):
    text = (ENVS / f"{name}.yaml").read_text()
    assert text == pins.environment(name), "run `make lock`"
    asked = yaml.safe_load(text)["dependencies"][-1]["pip"]
    assert {pins.canonical(a.split("==")[0]) for a in asked} == {pins.canonical(p) for p in pins.asked(name)}


@pytest.mark.parametrize("name", ["main", "brainscore"])
def test_everything_in_a_lock_is_pinned(name):
    lines = [line for line in (ENVS / f"{name}.lock.txt").read_text().splitlines() if line.strip()]
    assert lines and all(line.count("==") == 1 and "@" not in line and "://" not in line for line in lines)


def test_the_two_environments_share_the_versions_of_torch():
    main, brainscore = pins.locked("main"), pins.locked("brainscore")
    assert all(main[package] == brainscore[package] for package in ("torch", "torchvision"))


def test_this_environment_is_the_locked_one():
    if ".venv" not in sys.prefix:
        pytest.skip("not in the environment that `make env` builds")
    locked = pins.locked("main")
    found = {pins.canonical(d.name): d.version for d in metadata.distributions()}
    assert {name: found.get(name) for name in locked} == locked
