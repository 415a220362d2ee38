"""Downloads go on where they ended, and never mix the bytes of two files."""

import socket
import threading
import urllib.request

import pytest

from neuroscaling.core import downloads, watching
from neuroscaling.core.downloads import TRIES, download, few_at_once, silent_connections_end
from neuroscaling.core.errors import DataError, FullDiskError, Problem
from neuroscaling.core.leases import Held
from neuroscaling.core.progress import read_progress
from tests.support.range_server import range_server

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def server():
    with range_server() as served:
        served.files["/a.pt"] = CONTENT
        yield served


def test_a_download_goes_on_after_lost_connections(server, tmp_path):
    server.breaks = [1000, 2000, 0, 500]
    target = download(f"{server.url}/a.pt", tmp_path / "deep" / "a.pt", pause=0)
    assert target.read_bytes() == CONTENT and server.asked == [0, 1000, 3000, 3000, 3500]
    assert [path.name for path in target.parent.iterdir()] == ["a.pt"]


def test_what_a_killed_download_left_is_gone_on_with(server, tmp_path, monkeypatch):
    server.breaks = [4000] + [0] * TRIES
    with pytest.raises(DataError, match=r"can't be downloaded: [\s\S]*start again"):
        download(f"{server.url}/a.pt", tmp_path / "a.pt", pause=0)
    assert (tmp_path / "a.pt.partial").stat().st_size == 4000 and not (tmp_path / "a.pt").exists()
    server.asked.clear()
    assert download(f"{server.url}/a.pt", tmp_path / "a.pt", pause=0).read_bytes() == CONTENT
    assert server.asked == [4000]


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_file_that_changed_meanwhile_and_a_server_without_ranges_begin_anew(knows_ranges, server, tmp_path):
    server.breaks = [4000] + [0] * TRIES
    with pytest.raises(DataError):
        download(f"{server.url}/a.pt", tmp_path / "a.pt", pause=0)
    server.ranges, server.tag = knows_ranges, '"2"'
    server.files["/a.pt"] = CONTENT[::-1]
    assert download(f"{server.url}/a.pt", tmp_path / "a.pt", pause=0).read_bytes() == CONTENT[::-1]


def test_what_is_left_of_another_url_is_not_taken(server, tmp_path):
    server.breaks = [4000] + [0] * TRIES
    with pytest.raises(DataError):
        download(f"{server.url}/a.pt", tmp_path / "a.pt", pause=0)
    server.files["/b.pt"] = CONTENT[::-1]
    assert download(f"{server.url}/b.pt", tmp_path / "a.pt", pause=0).read_bytes() == CONTENT[::-1]


def test_a_file_that_is_not_there_is_told_at_once(server, tmp_path):
    with pytest.raises(DataError, match=r"none\.pt: can't be downloaded: the server answers 404[\s\S]*check the URL"):
        download(f"{server.url}/none.pt", tmp_path / "a.pt", pause=0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_room_is_told_before_it_arrives(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100})())
    with pytest.raises(FullDiskError, match=r"no room on the disk[\s\S]*100 bytes are free"):
        download(f"{server.url}/a.pt", tmp_path / "a.pt", pause=0)


def test_a_download_tells_how_much_has_arrived(server, tmp_path, monkeypatch):
    """The second half comes when the watch has told of the first."""
    told, record = threading.Event(), tmp_path / "state" / "progress.json"
    seen, tell, copy = [], watching.Watch._tell, downloads._copy

    def spied(self, now):
        tell(self, now)
        found = read_progress(record)
        if found is not None and found.done >= len(CONTENT) // 2:  # before it, the note of the server's answer is there
            seen.append(found)
            told.set()

    def slowly(response, file):
        file.write(response.read(len(CONTENT) // 2))
        file.flush()
        assert told.wait(600)
        copy(response, file)

    for name, value in (("LOOK_EVERY", 0.01), ("WRITE_EVERY", 0.0), ("TELL_EVERY", 0.0)):
        monkeypatch.setattr(watching, name, value)
    monkeypatch.setattr(watching.Watch, "_tell", spied)
    monkeypatch.setattr(downloads, "_copy", slowly)
    monkeypatch.setattr(downloads, "MB", 1)
    target = download(f"{server.url}/a.pt", tmp_path / "a.pt", pause=0, record=record)
    assert target.read_bytes() == CONTENT and not record.exists()
    assert (seen[0].done, seen[0].total, seen[0].unit) == (len(CONTENT) // 2, len(CONTENT), "MB")


def test_a_library_without_a_timeout_does_not_wait_for_ever(tmp_path):
    """torch's hub, for a server that takes the request and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent, silent_connections_end(0.2):
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.pt"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with pytest.raises((TimeoutError, OSError), match="timed out"):
            direct.open(url)
    assert socket.getdefaulttimeout() is None


def test_an_error_within_is_no_place_that_is_taken(tmp_path):
    """A download may itself wait for a lease that another process has."""
    with pytest.raises(Held), few_at_once(tmp_path):
        raise Held(Problem(what="made by another process"))


def test_only_a_few_download_at_one_time(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "PAUSE_S", 0.01)
    within, most, lock = [], [], threading.Lock()

    def work():
        with few_at_once(tmp_path, 2):
            with lock:
                within.append(1)
                most.append(len(within))
            threading.Event().wait(0.05)
            with lock:
                within.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 5 and max(most) <= 2
