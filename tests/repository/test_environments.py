"""The locks for pip and the files for conda name the same versions."""

import importlib.util
import os
import re
import shutil
import subprocess
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


def test_what_builds_the_environments_is_pinned_with_hashes():
    names = [package for package, _, hashes in pins.pinned("tools") if hashes]
    assert names == pins.asked("tools")


def built(folder: Path, name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What `envs/build.sh NAME` says in a folder with that script, a lock of no packages, and the library's source."""
    (folder / "envs").mkdir(exist_ok=True)
    for file in ("build.sh", "tools.lock.txt"):
        shutil.copy(ENVS / file, folder / "envs" / file)
    shutil.copy(ENVS.parent / "pyproject.toml", folder)
    (folder / f"envs/{name}.lock.txt").write_text("# none\n")
    (folder / "src").symlink_to(ENVS.parent / "src")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("UV_", "PIP_", "PYTHON"))}
    environment |= {"PYTHON": sys.executable, "PIP_CONFIG_FILE": os.devnull} | variables
    return subprocess.run([folder / "envs/build.sh", name], capture_output=True, text=True, env=environment)


def test_a_faulty_study_is_told_before_anything_is_built(tmp_path):
    interpreter = tmp_path / ".venv/main/bin/python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)
    (tmp_path / "mine.yaml").write_text("study: mine\nruns: [{untrained: [resnet17]}]\n")
    done = built(tmp_path, "main", NEUROSCALING_CHECK="mine.yaml")
    assert done.returncode == 1 and "nearest:  resnet18" in done.stderr and "no environment was built" in done.stderr
    assert interpreter.exists() and not (tmp_path / ".venv/main/.installed").exists()


def test_uv_is_told_what_pip_is_told_and_pip_stands_in_for_it(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/told"\nenv >> "{tmp_path}/told"\nexit 1\n')
    (tmp_path / "bin/uv").chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    pip = {"PIP_INDEX_URL": "http://lab/simple", "PIP_FIND_LINKS": "/a /b", "PIP_TRUSTED_HOST": "lab"}
    done = built(tmp_path, "brainscore", PATH=path, UV_INSECURE_HOST="mine", **pip)
    assert done.returncode == 0 and "with uv" in done.stdout and "pip tries" in done.stderr, done.stderr
    told = (tmp_path / "told").read_text().splitlines()
    assert "--require-hashes --no-deps -r envs/brainscore.lock.txt" in told[0]
    assert {"UV_DEFAULT_INDEX=http://lab/simple", "UV_FIND_LINKS=/a,/b", "UV_INSECURE_HOST=mine"} <= set(told)
    assert f"UV_CACHE_DIR={tmp_path}/.venv/cache" in told
    assert built_already(tmp_path)


def built_already(folder: Path) -> bool:
    """Whether another call has nothing to do."""
    return not subprocess.run([folder / "envs/build.sh", "brainscore"], capture_output=True, check=True).stdout


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
