"""Leases: one maker at a time, over processes, machines and disks; the dead are told from the living."""

import errno
import fcntl
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from neuroscaling.core import leases
from neuroscaling.core.errors import DataError
from neuroscaling.core.lease_holders import holder_from
from neuroscaling.core.leases import Held, LeaseLost, held, holder_in, is_held, lock_of
from tests.support.processes import LIMIT

HOLDER = """
import errno, fcntl, sys, time
from pathlib import Path
from neuroscaling.core.leases import held

def refuse(*_):
    raise OSError(errno.ENOLCK, "no locks available")

path, how = Path(sys.argv[1]), sys.argv[2]
if "without" in how:
    fcntl.flock = refuse
with held(path, "the artefact"):
    path.with_name(f".{path.name}.0a1b.partial").write_text("half")
    print("held", flush=True)
    sys.stdin.read()
    path.write_text("made")
"""
MAKER = """
import errno, fcntl, sys, time
from pathlib import Path
from neuroscaling.core import leases

def refuse(*_):
    raise OSError(errno.ENOLCK, "no locks available")

path, log, how = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
if "without" in how:
    fcntl.flock = refuse
leases.SHORTEST_PAUSE = leases.LONGEST_PAUSE = 0.002
print("ready", flush=True)
sys.stdin.readline()
try:
    with leases.held(path, "the artefact") as lease:
        if not path.exists():
            time.sleep(0.2)
            lease.check()
            with open(log, "a") as file:
                file.write("made\\n")
            path.write_text("made")
except leases.LeaseLost:
    assert "without" in how  # where the disk knows no locks, two may begin; one puts it in its place
"""


def begin(code, *arguments, before=()):
    command = [*before, sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process):
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds the lease of `tmp_path/a`."""
    begun = []

    def one(how="plain", before=(), where=tmp_path):
        process = begin(HOLDER, where / "a", how, before=before)
        begun.append(process)
        line = process.stdout.readline()
        assert line == "held\n", process.stderr.read()
        return process

    yield one
    for process in begun:
        end(process)


def as_another(path: Path, **changes) -> None:
    """Rewrite the lock file of `path` as that of another holder."""
    holder = json.loads(lock_of(path).read_text())
    lock_of(path).write_text(json.dumps(holder | changes))


@pytest.mark.parametrize("how", ["plain", "without locks"])
def test_a_lease_is_respected_while_its_holder_lives_and_not_longer(tmp_path, holder, how):
    path = tmp_path / "a"
    process = holder(how)
    told = rf"the artefact is being made(.|\n)*process {process.pid} of"
    with pytest.raises(Held, match=told), held(path, "the artefact", wait=False):
        pass
    assert is_held(path)
    process.kill()
    process.wait()
    assert not is_held(path) and list(tmp_path.glob("*.partial"))
    with held(path, "the artefact", wait=False) as lease:  # at once: the kernel knows
        assert holder_in(lock_of(path)).pid == os.getpid()
        assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob("*.stale"))
        lease.check()
    assert not lock_of(path).exists()


def test_who_waits_says_for_whom_and_finds_what_was_made(tmp_path, holder, caplog, monkeypatch):
    caplog.set_level("INFO")
    process, tell = holder(), leases._Watch.tell

    def telling(watch, what):
        tell(watch, what)
        process.stdin.close()  # the holder makes it, once somebody waits

    monkeypatch.setattr(leases._Watch, "tell", telling)
    with held(tmp_path / "a", "layer choices of resnet18"):
        assert (tmp_path / "a").read_text() == "made"
    (message,) = [m for m in caplog.messages if m.startswith("waiting for layer choices of resnet18")]
    assert f"process {process.pid} of " in message and " on " in message and ", since 2" in message


def test_between_two_names_of_one_machine_the_kernel_decides(tmp_path, holder):
    """Containers and cloud machines have names of their own; the kernel's start tells which machine it is."""
    before = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]
    if subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("a namespace of host names can't be made here")
    process = holder(before=before)
    with pytest.raises(Held, match="on elsewhere"), held(tmp_path / "a", "it", wait=False):
        pass
    process.kill()
    process.wait()
    with held(tmp_path / "a", "it", wait=False):
        pass


def test_between_two_namespaces_of_processes_the_lock_decides(tmp_path, holder):
    before = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("a namespace of processes can't be made here")
    process = holder(before=before)
    assert holder_in(lock_of(tmp_path / "a")).pid < 10
    with pytest.raises(Held), held(tmp_path / "a", "it", wait=False):
        pass
    process.kill()
    process.stdout.read()  # its child has ended too
    with held(tmp_path / "a", "it"):
        pass


HIDDEN = """
import os, sys
from neuroscaling.core.leases import Held
from neuroscaling.core.leases import held
assert not os.path.exists(f"/proc/{sys.argv[2]}")
try:
    with held(sys.argv[1], "it", wait=False):
        print("taken")
except Held:
    print("held")
"""


def test_processes_of_others_that_the_kernel_hides_are_not_dead(tmp_path, holder):
    """Clusters mount /proc with hidepid: a user sees there no process of another one."""
    hidden = "mount -t proc -o hidepid=2 proc /proc"
    if os.geteuid() or subprocess.run(["unshare", "--mount", "sh", "-c", hidden], capture_output=True).returncode:
        pytest.skip("/proc can't be mounted here")
    shared = Path(tempfile.mkdtemp(prefix="neuroscaling-hidden-"))  # pytest's own are closed to other users
    shared.chmod(0o777)
    try:
        user = "setpriv --reuid=54321 --regid=54321 --clear-groups"
        user += " --inh-caps=+dac_read_search --ambient-caps=+dac_read_search"  # the interpreter may be root's
        before = ["unshare", "--mount", "sh", "-c", f'{hidden} && exec {user} "$@"', "sh"]
        with held(shared / "a", "it"):
            other = begin(HIDDEN, shared / "a", os.getpid(), before=before)
            assert other.communicate(timeout=LIMIT) == ("held\n", "")
        process = holder(where=shared)
        process.kill()
        process.wait()
        other = begin(HIDDEN, shared / "a", process.pid, before=before)
        assert other.communicate(timeout=LIMIT)[0] == "taken\n"
    finally:
        shutil.rmtree(shared)


def test_a_number_of_a_process_that_is_used_again_is_not_its_holder(tmp_path):
    with held(tmp_path / "a", "it"):
        as_another(tmp_path / "a", token="b", start="1")
        with held(tmp_path / "a", "it", wait=False) as second:
            assert second.token != "b"


def test_a_holder_on_another_machine_is_believed_while_its_heart_beats(tmp_path, monkeypatch):
    path, now = tmp_path / "a", 1000.0
    with held(path, "it"):
        content = lock_of(path).read_bytes()
    lock_of(path).write_bytes(content)
    as_another(path, boot="another", host="node7", flocked=False)
    clock = [now]
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    watch = leases._Watch(lock_of(path))
    with leases._opened(lock_of(path)) as descriptor:

        def is_dead_at(seconds):
            clock[0] = now + seconds
            return watch.is_dead(descriptor)

        assert not is_dead_at(0) and not is_dead_at(119)
        os.utime(lock_of(path), (1, 1))  # its clock may say anything
        assert not is_dead_at(130) and not is_dead_at(249) and is_dead_at(251)


def test_a_beating_heart_touches_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT", 0.01)
    with held(tmp_path / "a", "it"):
        before = lock_of(tmp_path / "a").stat().st_mtime_ns
        deadline = time.monotonic() + LIMIT
        while lock_of(tmp_path / "a").stat().st_mtime_ns == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_holder_that_lost_its_lease_notices(tmp_path, caplog):
    with held(tmp_path / "a", "it") as lease:
        lease.check()
        as_another(tmp_path / "a", token="b", host="node7")
        with pytest.raises(LeaseLost, match=r"took its lease(.|\n)*on node7"):
            lease.check()
    assert "took this one for dead" in caplog.text
    assert holder_in(lock_of(tmp_path / "a")).token == "b"  # not its to remove


def test_who_is_slower_at_taking_over_gives_the_faster_one_its_lease_back(tmp_path):
    path = tmp_path / "a"
    with held(path, "it"):
        with leases._opened(lock_of(path)) as descriptor:
            dead = holder_from(os.pread(descriptor, 10_000, 0))
            as_another(path, token="faster")
            assert not leases._moved_away(lock_of(path), descriptor, dead)
        assert holder_in(lock_of(path)).token == "faster"
    assert [file.name for file in tmp_path.iterdir()] == [".a.lock"]


@pytest.mark.parametrize("patience", [math.inf, 0.1])
def test_while_another_takes_over_nobody_else_does(tmp_path, holder, monkeypatch, patience):
    """The other one has the dead one's file locked; after a while it must be a child of the dead one that has."""
    path, tries, tried, flock = tmp_path / "a", [], threading.Event(), leases._flock

    def counted(descriptor):
        tries.append(got := flock(descriptor))
        if len(tries) == 3:
            tried.set()
        return got

    dead = holder()
    dead.kill()
    dead.wait()
    monkeypatch.setattr(leases, "TAKEOVER", patience)
    other = os.open(lock_of(path), os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    monkeypatch.setattr(leases, "_flock", counted)

    def released():
        tried.wait(LIMIT)
        if patience == math.inf:
            os.close(other)

    thread = threading.Thread(target=released)
    thread.start()
    with held(path, "it", wait=False):
        assert tries[:3] == [False] * 3
        assert (tries[-2] is True) == (patience == math.inf)
    thread.join()


@pytest.mark.parametrize("how", ["plain", "without locks"])
def test_of_five_that_take_over_at_once_one_makes_it(tmp_path, holder, how):
    path, made = tmp_path / "a", tmp_path / "made.txt"
    dead = holder(how)
    makers = [begin(MAKER, path, made, how) for _ in range(5)]
    for maker in makers:
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        maker.stdin.write("go\n")
        maker.stdin.flush()
    dead.kill()
    dead.wait()
    for maker in makers:
        _, said_of_it = maker.communicate(timeout=LIMIT)
        assert maker.returncode == 0, said_of_it
    assert made.read_text() == "made\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "made.txt"]


def test_threads_of_one_process_wait_for_each_other(tmp_path):
    order = []

    def make(name):
        with held(tmp_path / "a", "it"):
            order.append(name)
            time.sleep(0.05)
            order.append(name)

    threads = [threading.Thread(target=make, args=(name,)) for name in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order in (list("xxyy"), list("yyxx"))


def test_a_damaged_lock_file_counts_as_one_that_is_being_written(tmp_path, monkeypatch):
    lock_of(tmp_path / "a").write_text("")
    with pytest.raises(Held, match="has just begun"), held(tmp_path / "a", "it", wait=False):
        pass
    monkeypatch.setattr(leases, "LEASE", 0.1)
    with held(tmp_path / "a", "it"):
        pass


def test_a_folder_that_goes_meanwhile_is_made_again(tmp_path, monkeypatch):
    """Who finds a store whole removes the folder of its slices, which another one may just wait in."""
    lock, opened, gone = lock_of(tmp_path / "partial" / "slice-0-2"), os.open, []

    def opening(path, *more):
        if path == lock and not gone:
            gone.append(lock.parent.rmdir())
        return opened(path, *more)

    monkeypatch.setattr(os, "open", opening)
    with held(lock.parent / "slice-0-2", "it"):
        assert gone and lock.is_file()


def test_what_is_no_folder_is_an_error_and_nobody_waits(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "disk").symlink_to("/nowhere/disk")
    for folder, told in (("file", "a file is in place"), ("disk", "a link to nowhere .*mount its disk")):
        for path in (tmp_path / folder / "a", tmp_path / folder / "store" / "a"):
            with (
                pytest.raises(DataError, match=rf"{tmp_path / folder}: (?s:.)*{told.replace('.*', '(?s:.)*')}"),
                held(path, "it"),
            ):
                pass


def test_the_lease_is_given_back_where_the_block_fails(tmp_path):
    with pytest.raises(ValueError), held(tmp_path / "a", "it"):
        raise ValueError
    assert not lock_of(tmp_path / "a").exists()


def test_a_lease_is_that_of_the_folder_where_it_was_taken(tmp_path, monkeypatch, caplog):
    """A process that goes to another folder has it, checks it and gives it back as before."""
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with held("a", "it") as lease:
        monkeypatch.chdir(tmp_path / "elsewhere")
        lease.check()
        assert is_held(tmp_path / "here" / "a")
    assert not caplog.messages
    assert not list((tmp_path / "here").iterdir()) and not list((tmp_path / "elsewhere").iterdir())


def test_on_a_disk_without_locks_the_file_says_so(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with held(tmp_path / "a", "it"):
        assert holder_in(lock_of(tmp_path / "a")).flocked is False


def test_names_of_others_are_not_swept(tmp_path):
    for name in (".a.1.partial", ".ab.1.partial", ".a[b].1.partial", ".a[b].1.old"):
        (tmp_path / name).mkdir()
    with held(tmp_path / "a[b]", "it"):
        left = sorted(file.name for file in tmp_path.iterdir() if file.suffix != ".lock")
        assert left == [".a.1.partial", ".ab.1.partial"]
