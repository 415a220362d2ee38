"""The locks for pip and the files for conda name the same versions."""

import importlib.util
import re
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
def test_everything_in_a_lock_is_pinned_with_the_hashes_of_its_files(name):
    pinned = pins.pinned(name)
    assert len(pinned) > 100 and len({pins.canonical(package) for package, _, _ in pinned}) == len(pinned)
    for package, version, hashes in pinned:
        assert re.fullmatch(r"[A-Za-z0-9._-]+", package) and re.fullmatch(r"[A-Za-z0-9.+!]+", version)
        assert hashes and all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes), package
    assert "--require-hashes" in (ENVS / "build.sh").read_text()


def test_a_lock_serves_other_machines_than_the_one_that_wrote_it():
    files = {pins.canonical(package): len(hashes) for package, _, hashes in pins.pinned("main")}
    assert files["numpy"] > 10, "wheels of each Python and processor, not of one"
    for name in ("main", "brainscore"):
        text = (ENVS / f"{name}.lock.txt").read_text()
        assert not re.search(r"://|--(extra-)?index|--find-links", text), "a machine's package index is in the lock"


def test_the_two_environments_share_the_versions_of_torch():
    main, brainscore = pins.locked("main"), pins.locked("brainscore")
    assert all(main[package] == brainscore[package] for package in ("torch", "torchvision"))


def test_this_environment_is_the_locked_one():
    if ".venv" not in sys.prefix:
        pytest.skip("not in the environment that `make env` builds")
    locked = pins.locked("main")
    found = {pins.canonical(d.name): d.version for d in metadata.distributions()}
    assert {name: found.get(name) for name in locked} == locked
