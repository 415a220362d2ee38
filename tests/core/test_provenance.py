"""What records say of where artefacts come from."""

import platform
import shutil
import subprocess

import pytest

from neuroscaling.core import provenance as core_provenance
from neuroscaling.core.provenance import git_revision, provenance, version_mix


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """An empty clone in place of the one that this package lies in, and git within it."""
    if not shutil.which("git"):
        pytest.skip("no git")
    monkeypatch.setattr(core_provenance, "CHECKOUT", tmp_path)
    git_revision.cache_clear()

    def git(*arguments):
        author = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        done = subprocess.run(["git", *author, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q")
    yield git
    git_revision.cache_clear()


def test_the_revision_says_whether_there_are_changes(repository, tmp_path):
    (tmp_path / "f").write_text("1")
    repository("add", "f")
    repository("commit", "-qm", "one")
    repository("tag", "v1")  # a revision is no name of a tag
    commit = repository("rev-parse", "--short=12", "HEAD")
    assert git_revision() == commit
    (tmp_path / "f").write_text("2")
    assert git_revision() == commit  # found out once a process
    git_revision.cache_clear()
    assert git_revision() == f"{commit}+"


def test_a_package_that_is_installed_below_another_repository_has_no_revision(repository, tmp_path, monkeypatch):
    (tmp_path / "f").write_text("1")
    repository("add", "f")
    repository("commit", "-qm", "one")
    (tmp_path / "venv").mkdir()
    monkeypatch.setattr(core_provenance, "CHECKOUT", tmp_path / "venv")
    git_revision.cache_clear()
    assert git_revision() is None


def test_git_is_asked_once_for_many_records(monkeypatch):
    asked = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: asked.append(args) or run(*args, **kwargs))
    git_revision.cache_clear()
    core_provenance._machine.cache_clear()
    records = [provenance(("numpy", "no-such-package"), 1.23456, device="cpu") for _ in range(3)]
    assert len(asked) <= 1
    assert records[0] == records[2]
    assert records[0]["versions"]["no-such-package"] is None
    assert records[0]["seconds"] == 1.235


def test_the_machine_names_host_user_and_slurm_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    core_provenance._machine.cache_clear()
    try:
        machine = provenance()["machine"]
    finally:
        core_provenance._machine.cache_clear()
    assert machine["slurm_job_id"] == "4711" and machine["user"] and machine["host"] == platform.node()


def test_records_of_several_versions_of_a_package_are_counted():
    def record(**versions):
        return {"provenance": {"versions": versions}}

    records = [record(torch="2.8", numpy="2.1"), record(torch="2.9", numpy="2.1"), record(torch="2.8"), {"run": "r"}]
    assert version_mix(records) == {"torch": {"2.8": 2, "2.9": 1}}
    assert version_mix([record(timm=None), record(timm="1.0")]) == {}
    assert version_mix([]) == {}
