"""The prefetch of Brain-Score's files: whole, checked and read-only, or absent; and the failure without a network."""

import json
import threading
from dataclasses import asdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from neuroscaling.brainscore import prefetch
from neuroscaling.brainscore.job_files import PrefetchJob, write_job
from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import file_sha1
from neuroscaling.core.records import read_record
from neuroscaling.study import benchmarks
from tests.support.brainscore_data import run_in_brainscore

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def remote(tmp_path: Path) -> list[benchmarks.RemoteFile]:
    """Three files of a made-up bucket, in a folder that stands in for it."""
    bucket = tmp_path / "server" / "bucket" / "prefix"
    bucket.mkdir(parents=True)
    files = []
    for name in ("a.nc", "b.csv", "c.zip"):
        (bucket / name).write_bytes(name.encode() * 100)
        files.append(benchmarks.RemoteFile(name, file_sha1(bucket / name), "bucket", f"prefix/{name}", "null"))
    return files


class Network:
    """Copies from the folder that stands in for the bucket; `fails` names files that can't be had."""

    def __init__(self, root: Path, *fails: str):
        self.root, self.fails, self.fetched = root, fails, []

    def __call__(self, file: benchmarks.RemoteFile, path: Path) -> None:
        self.fetched.append(file.name)
        path.write_bytes((self.root / file.bucket / file.key).read_bytes()[: 50 if file.name in self.fails else None])
        if "interrupted" in self.fails and file.name == "b.csv":
            raise KeyboardInterrupt


def test_prefetched_files_are_whole_read_only_and_listed_last(tmp_path: Path, remote: list[benchmarks.RemoteFile]):
    network, root = Network(tmp_path / "server"), tmp_path / "data"
    manifest = prefetch.prefetch_files(remote, root, tmp_path / "manifest.json", network)
    assert read_record(manifest, "prefetch/2")["files"] == {file.name: file.sha1 for file in remote}
    for file in remote:
        path = file.place(root)
        assert file_sha1(path) == file.sha1
        assert path.stat().st_mode & 0o222 == 0 and path.parent.stat().st_mode & 0o222 == 0


def test_a_killed_prefetch_goes_on_and_fetches_nothing_again(tmp_path: Path, remote: list[benchmarks.RemoteFile]):
    root, manifest = tmp_path / "data", tmp_path / "manifest.json"
    with pytest.raises(KeyboardInterrupt):
        prefetch.prefetch_files(remote, root, manifest, Network(tmp_path / "server", "interrupted"))
    assert [file.place(root).is_file() for file in remote] == [True, False, False] and not manifest.exists()
    half = remote[1].place(root).parent / ".b.csv.0123abcd.partial.4F"
    half.parent.mkdir()
    half.write_bytes(b"half of it")
    network = Network(tmp_path / "server")
    prefetch.prefetch_files(remote, root, manifest, network)
    assert network.fetched == ["b.csv", "c.zip"] and manifest.exists() and not half.exists()
    again = Network(tmp_path / "server")
    prefetch.prefetch_files(remote, root, manifest, again)
    assert again.fetched == []


def test_a_file_of_another_content_is_refused_or_fetched_again(tmp_path: Path, remote: list[benchmarks.RemoteFile]):
    root, manifest = tmp_path / "data", tmp_path / "manifest.json"
    with pytest.raises(DataError, match="what was downloaded is another file"):
        prefetch.prefetch_files(remote, root, manifest, Network(tmp_path / "server", "b.csv"))
    assert [file.place(root).is_file() for file in remote] == [True, False, True] and not manifest.exists()
    prefetch.prefetch_files(remote, root, manifest, Network(tmp_path / "server"))
    damaged = remote[2].place(root)
    damaged.chmod(0o644)
    damaged.write_bytes(b"cut short")
    network = Network(tmp_path / "server")
    prefetch.prefetch_files(remote, root, manifest, network)
    assert network.fetched == ["c.zip"] and file_sha1(damaged) == remote[2].sha1


class Bucket(SimpleHTTPRequestHandler):
    """Serves a folder as S3 does: /<bucket>/<key>."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


FETCH = """
import json, sys, tempfile
from pathlib import Path
from neuroscaling.brainscore import environment
from neuroscaling.brainscore import prefetch
from neuroscaling.study.benchmarks import RemoteFile
environment.prepare_environment(Path(tempfile.mkdtemp()))
files = [RemoteFile(**file) for file in json.loads(sys.argv[1])]
prefetch.prefetch_files(files, Path(sys.argv[2]), Path(sys.argv[3]), prefetch.fetch_with_brainscore)
"""


def test_brainscores_code_fetches_without_credentials(
    brainscore_python: str, tmp_path: Path, remote: list[benchmarks.RemoteFile]
):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Bucket, directory=str(tmp_path / "server")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        wanted = json.dumps([asdict(file) for file in remote])
        arguments = ("-c", FETCH, wanted, tmp_path / "data", tmp_path / "manifest.json")
        ran = run_in_brainscore(
            brainscore_python, *arguments, AWS_ENDPOINT_URL_S3=url, AWS_EC2_METADATA_DISABLED="true"
        )
    finally:
        server.shutdown()
    assert ran.returncode == 0, ran.stderr
    assert all(file_sha1(file.place(tmp_path / "data")) == file.sha1 for file in remote)


def test_without_a_network_one_message_names_what_could_not_be_had(brainscore_python: str, tmp_path: Path):
    script = REPOSITORY / "workflow" / "scripts" / "prefetch_brainscore.py"
    asked = PrefetchJob(["MajajHong2015public.IT-pls"], tmp_path / "data", tmp_path / "manifest.json")
    ran = run_in_brainscore(
        brainscore_python,
        *(script, write_job(tmp_path / "job.json", asked), tmp_path / "log"),
        AWS_ENDPOINT_URL_S3="http://127.0.0.1:9",
        AWS_EC2_METADATA_DISABLED="true",
    )
    assert ran.returncode == 1
    for file in benchmarks.remote_files(benchmarks.registered_benchmark("MajajHong2015public.IT-pls")):
        assert file.url in ran.stderr and file.sha1 in ran.stderr
    assert "no network" in ran.stderr and "credentials" in ran.stderr and "Traceback" not in ran.stderr
    assert not (tmp_path / "manifest.json").exists() and list((tmp_path / "data").rglob("*.nc")) == []
