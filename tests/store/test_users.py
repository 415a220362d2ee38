"""A store with several users: what a user may not do is told, and what one made another can take out."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from neuroscaling.store.contents import store_contents
from neuroscaling.store.transfer import export_run
from tests.store.sound_store import RUN, RUN_DEFINITION, put_results, put_run
from tests.store.tiny_store import RUNS, make_store

GROUP, FIRST, SECOND = 54320, 54321, 54322
# Other users may not read this checkout: everything is imported before this process becomes one of them.
STORE_COMMAND = """
import os, sys
import neuroscaling.cli.output
import neuroscaling.store.prune, neuroscaling.store.usage, neuroscaling.store.usage, neuroscaling.store.verify
from neuroscaling.cli.main import main
if "import" in sys.argv:
    import neuroscaling.activations.zarr_reading, neuroscaling.store.adopt, neuroscaling.store.transfer
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[2]))
os.umask(0o022)
sys.exit(main(["store", *sys.argv[3:]]))
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as other users")


@pytest.fixture
def folder():
    """A folder that all may read; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="neuroscaling-users-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def as_user(user, *arguments):
    """`neuroscaling store` as a user of the group, whose umask is 022: exit status and standard error."""
    command = [sys.executable, "-c", STORE_COMMAND, str(GROUP), str(user), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_without_rights_nothing_goes_and_the_folder_is_named(folder):
    store = make_store(folder / "store")
    status, err = as_user(SECOND, "prune", store, "--stage", "scores", "--delete")
    assert status == 1 and "0 artefacts, 0 B: gone" in err
    assert err.count("no permission to write in its folder") == len(RUNS)
    assert len(store_contents(store).of(["scores"])) == len(RUNS)


def test_a_folder_that_is_closed_is_told_and_is_a_fault(folder):
    store = make_store(folder / "store")
    closed = store / "activations" / RUNS[0]
    closed.chmod(0o700)
    status, err = as_user(SECOND, "usage", store)
    assert status == 0 and f"{closed}: no permission to look into it, and nothing of it is counted" in err
    status, err = as_user(SECOND, "verify", store, "--stage", "cache")
    assert status == 1 and f"{closed}: no permission to look into it\n" in err


def test_one_takes_in_a_run_and_another_takes_it_out(folder):
    put_run(folder / "outside", RUN, RUN_DEFINITION)
    put_results(folder / "outside", RUN)
    export_run(store_contents(folder / "outside"), RUN, folder / "run.tar", ["activations", "scores"])
    store = folder / "store"
    store.mkdir()
    os.chown(store, 0, GROUP)
    store.chmod(0o2775)
    status, err = as_user(FIRST, "import", store, folder / "run.tar")
    assert (status, len(store_contents(store).artefacts)) == (0, 4), err
    status, err = as_user(SECOND, "prune", store, "--stage", "runs", "activations", "scores", "--delete")
    assert (status, store_contents(store).artefacts) == (0, []), err
