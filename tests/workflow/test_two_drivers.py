"""Two people start the same study a second apart on one store; tools/two_drivers.py has the whole matrix."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from tests.support.two_drivers import GROUP, driver_of_another_user, local_driver, race


@pytest.fixture
def place():
    """A folder that other users can reach, as pytest's own can't be."""
    folder = Path(tempfile.mkdtemp(prefix="neuroscaling-two-people-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_two_people_make_each_artefact_once(place, brainscore_python):
    """As two users of one group where root can act as such, the umask of both 022."""
    users = os.geteuid() == 0 and shutil.which("setpriv") is not None
    if users:
        (place / "store").mkdir()
        os.chown(place / "store", 0, GROUP)
        (place / "store").chmod(0o2775)
    both = race(place, [0, 1], True, driver_of_another_user if users else local_driver)
    texts = [(place / f"person-{number}" / "driver.txt").read_text()[-5000:] for number in (0, 1)]
    assert both.statuses == [0, 0], "\n\n".join(texts)
    assert both.twice == [] and both.left == []
    assert sum(name.endswith("/run.json") for name in both.content) == 2
    assert sum(name.startswith("scores/") and name.endswith(".json") for name in both.content) == 2
    for path in (place / "store").rglob("*") if users else ():
        assert path.stat().st_gid == GROUP and path.stat().st_mode & stat.S_IWGRP, path
