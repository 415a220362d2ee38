"""Two users of one group in one store: what the first made with a umask of 022, the second goes on with."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from neuroscaling.core.files import atomic_path, share_as, write_json
from neuroscaling.core.leases import held, lock_of

GROUP, FIRST, SECOND = 54320, 54321, 54322


@pytest.fixture
def store():
    """A folder that belongs to a group, as a lab sets it up: chgrp lab store; chmod 2775 store."""
    if os.geteuid():
        pytest.skip("only root can act as two other users")
    folder = Path(tempfile.mkdtemp(prefix="neuroscaling-two-users-"))  # pytest's own are closed to others
    os.chown(folder, 0, GROUP)
    folder.chmod(0o2775)
    yield folder
    shutil.rmtree(folder)


def as_user(user, action):
    """Do `action` in a process of the user `user` of the group, whose umask is 022."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(GROUP)
            os.setuid(user)
            os.umask(0o022)
            action()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_second_user_goes_on_where_the_first_was_killed(store):
    path = store / "runs" / "a" / "weights"

    def begin():
        with held(path, "the run a"):
            (path.parent / "state").mkdir()
            (path.parent / "state" / "step-1").write_text("half")
            with atomic_path(path) as temporary:
                temporary.write_text("half")
                os._exit(0)  # as a kill: nothing is tidied

    def go_on():
        with held(path, "the run a"):
            assert not list(path.parent.glob("*.partial"))
            (path.parent / "state" / "step-2").write_text("more")
            (path.parent / "state" / "step-1").unlink()
            write_json(path, {"whole": True})
        assert not lock_of(path).exists()

    as_user(FIRST, begin)
    assert lock_of(path).is_file()
    as_user(SECOND, go_on)
    as_user(FIRST, lambda: write_json(path, {"whole": "again"}))
    for entry in [store, *store.rglob("*")]:
        assert entry.stat().st_gid == GROUP and entry.stat().st_mode & stat.S_IWGRP, entry


def test_the_second_user_waits_for_the_first_who_lives(store):
    path = store / "a"
    reader, writer = os.pipe()

    def make_slowly():
        with held(path, "it"):
            os.write(writer, b"held")
            os.read(go_on, 1)
            path.write_text("first")

    def look():
        with held(path, "it"):
            assert path.read_text() == "first"

    go_on, tell = os.pipe()
    first = os.fork()
    if first == 0:
        as_user(FIRST, make_slowly)
        os._exit(0)
    assert os.read(reader, 4) == b"held"
    second = os.fork()
    if second == 0:
        try:
            as_user(SECOND, look)
        except BaseException:
            os._exit(1)
        os._exit(0)
    os.write(tell, b"x")
    for child in (first, second):
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    "mode, expected", [(0o755, 0o644), (0o775, 0o664), (0o1777, 0o644), (0o777, 0o664), (0o750, 0o640)]
)
def test_a_folder_says_how_it_is_shared(tmp_path, mode, expected):
    before = os.umask(0o027 if mode == 0o750 else 0o022)
    try:
        folder = tmp_path / "store"
        folder.mkdir()
        folder.chmod(mode)
        share_as(folder / "runs" / "missing")
        (folder / "file").touch()
        assert stat.S_IMODE((folder / "file").stat().st_mode) == expected
    finally:
        os.umask(before)
