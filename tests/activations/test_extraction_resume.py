"""An extraction that is cut short goes on where it stood; slices by several processes give what one process gives."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from neuroscaling.activations import passes, zarr_writing
from neuroscaling.activations.extraction import extract, finish
from neuroscaling.activations.layout import group_path, partial_path
from neuroscaling.activations.networks import Extractor
from neuroscaling.activations.passes import making
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.core.errors import DataError, FullDiskError
from neuroscaling.core.leases import LeaseLost, lock_of
from neuroscaling.core.progress import progress_beside, read_progress
from neuroscaling.models.build import build
from neuroscaling.models.weights import save_weights
from neuroscaling.study.sections.extraction import ExtractionOptions
from tests.support.prepared import extraction_of, run_of, write_run, write_set

N, BATCH = 40, 8  # five shards of one batch
OPTIONS = ExtractionOptions(batch=BATCH)
RUN = run_of("resnet_w8")

SCRIPT = """
import json, sys, time
from pathlib import Path
from neuroscaling.activations import zarr_writing
from neuroscaling.activations.extraction import extract
from neuroscaling.study.sections.extraction import ExtractionOptions
from tests.support.prepared import extraction_of, run_of
folder, output, batch, part, pause, made, shards_until_it_stays = json.loads(sys.argv[1])
close = zarr_writing.LayerShards.close

def closing(shards):
    time.sleep(pause)
    while shards._shard == shards_until_it_stays:
        time.sleep(0.01)
    with open(made, "a") as told:
        told.write(f"{shards._shard}\\n")
    return close(shards)

zarr_writing.LayerShards.close = closing
job = extraction_of(run_of("resnet_w8"), Path(folder), Path(output))
extract(job, ExtractionOptions(batch=batch), part, "cpu")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run and a stimulus set."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "images").mkdir()
    rng, rows = np.random.default_rng(0), []
    for i in range(N):
        file = folder / "images" / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(file)
        rows.append(
            {"stimulus_id": f"s{i}", "filename": file.name, "sha1": hashlib.sha1(file.read_bytes()).hexdigest()}
        )
    write_set(folder, rows)
    save_weights(build("resnet_w8", 10, 3), folder / "weights-ep0.safetensors", {"arch": "resnet_w8"})
    write_run(folder)
    return folder


def run_extract(folder, output, step=extract, options=OPTIONS, part=None, **features):
    more = {} if part is None else {"part": part}
    step(extraction_of(RUN, folder, output, **features), options, device="cpu", **more)
    return output


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """The activations of an extraction that nothing interrupted."""
    return run_extract(folder, tmp_path_factory.mktemp("whole") / "set.json")


def files_of(path):
    root = group_path(path)
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}


@pytest.fixture
def forwarded(monkeypatch):
    """Numbers of images of each forward pass."""
    counts = []
    forward = Extractor.forward

    def counting(self, images, layers, sink):
        counts.append(len(images))
        return forward(self, images, layers, sink)

    monkeypatch.setattr(Extractor, "forward", counting)
    return counts


def cut_after(monkeypatch, shards):
    """Raise, as a lost disk would, once `shards` shards are finished; a function that ends this."""
    close, done = zarr_writing.LayerShards.close, []

    def failing(self):
        if len(done) == shards:
            raise OSError("the disk is gone")
        done.append(1)
        return close(self)

    monkeypatch.setattr(zarr_writing.LayerShards, "close", failing)
    return lambda: monkeypatch.setattr(zarr_writing.LayerShards, "close", close)


def test_a_full_disk_is_named_and_the_finished_shards_stay(folder, whole, forwarded, monkeypatch, tmp_path):
    """A limit on the size of files stands in for the disk: writes fail in the same calls."""
    close, done, before = zarr_writing.LayerShards.close, [], resource.getrlimit(resource.RLIMIT_FSIZE)

    def filling(self):
        records = close(self)
        done.append(1)
        if len(done) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
        return records

    monkeypatch.setattr(zarr_writing.LayerShards, "close", filling)
    try:
        with pytest.raises(FullDiskError, match=r"set\.json: no space left on the disk"):
            run_extract(folder, tmp_path / "set.json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    monkeypatch.setattr(zarr_writing.LayerShards, "close", close)
    forwarded.clear()
    run_extract(folder, tmp_path / "set.json")
    assert sum(forwarded) in (2 * BATCH, 3 * BATCH) and files_of(tmp_path / "set.json") == files_of(whole)


def test_an_extraction_goes_on_at_the_first_missing_shard(folder, whole, forwarded, monkeypatch, tmp_path):
    mend = cut_after(monkeypatch, 3)
    with pytest.raises(OSError, match="disk is gone"):
        run_extract(folder, tmp_path / "set.json")
    assert not (tmp_path / "set.json").exists() and partial_path(tmp_path / "set.json").is_dir()
    progress = read_progress(progress_beside(tmp_path / "set.json"))
    assert progress is not None and (progress.unit, progress.total) == ("images", N)
    assert 3 * BATCH <= progress.done <= N and progress.problem == "OSError: the disk is gone"
    mend()
    forwarded.clear()
    run_extract(folder, tmp_path / "set.json")
    assert forwarded == [BATCH, BATCH]
    assert files_of(tmp_path / "set.json") == files_of(whole)
    assert {file.name for file in tmp_path.iterdir()} == {"set.json", "set.zarr"}


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_finished_shard_that_was_damaged_is_made_again(damage, folder, whole, forwarded, monkeypatch, tmp_path):
    mend = cut_after(monkeypatch, 3)
    with pytest.raises(OSError, match="disk is gone"):
        run_extract(folder, tmp_path / "set.json")
    (file,) = partial_path(tmp_path / "set.json").glob("*/group.zarr/layer2.0/c/1/0")
    file.unlink() if damage == "missing" else os.truncate(file, 100)
    mend()
    forwarded.clear()
    run_extract(folder, tmp_path / "set.json")
    assert forwarded == [BATCH] * 3
    assert files_of(tmp_path / "set.json") == files_of(whole)


def test_other_facts_begin_anew(folder, forwarded, monkeypatch, tmp_path):
    mend = cut_after(monkeypatch, 3)
    with pytest.raises(OSError, match="disk is gone"):
        run_extract(folder, tmp_path / "set.json")
    mend()
    forwarded.clear()
    run_extract(folder, tmp_path / "set.json", reduction={"kind": "grid", "size": 1})
    assert sum(forwarded) == N and not partial_path(tmp_path / "set.json").exists()


def test_a_killed_process_is_gone_on_from(folder, whole, forwarded, tmp_path):
    """It is killed in the fourth of five shards, however slow this process is to see that two are done."""
    output = tmp_path / "set.json"
    process = _start(folder, output, None, shards=3)
    while len(list(partial_path(output).glob("*/done/*.json"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL and not output.exists(), said
    run_extract(folder, output)
    assert 2 * BATCH <= sum(forwarded) <= N - 2 * BATCH
    assert files_of(output) == files_of(whole)


@pytest.mark.parametrize("parts", [(None, None), (None, [0, 2]), ([0, 2], [0, 1])])
def test_processes_that_extract_one_set_at_once_make_it_once(parts, folder, whole, forwarded, tmp_path):
    """As a whole, as a slice of a whole that is under way and the other way round, as slices that share shards."""
    output, made = tmp_path / "set.json", tmp_path / "made"
    processes = [_start(folder, output, part, pause=0.2, made=made) for part in parts]
    outcomes = [(process.communicate(timeout=600)[1], process.returncode) for process in processes]
    assert [code for _, code in outcomes] == [0, 0], outcomes
    shards = made.read_text().split()
    assert len(shards) == len(set(shards))
    forwarded.clear()
    run_extract(folder, output, step=extract if None in parts else finish)
    assert forwarded == [] and files_of(output) == files_of(whole)
    assert open_store(output).manifest.layers == open_store(whole).manifest.layers
    assert {file.name for file in tmp_path.iterdir()} == {"set.json", "set.zarr", "made"}


def test_a_slice_that_waits_for_another_holds_up_no_third_one(tmp_path):
    output, entered = tmp_path / "set.json", []

    def enter(part):
        with making(output, part) as lease:
            entered.append((part, lease is None))

    with ThreadPoolExecutor(2) as pool:
        with making(output, (0, 2)) as own:
            waiting = [pool.submit(enter, part) for part in ((0, 2), None)]
            with making(output, (2, 4)) as lease:
                assert lease is not None and own.is_held() and entered == []
            output.write_text("made meanwhile")
        for one in waiting:
            one.result(timeout=600)
    assert sorted(entered, key=str) == [((0, 2), True), (None, True)]
    assert {file.name for file in tmp_path.iterdir()} == {"set.json"}


def test_who_lost_its_lease_puts_nothing_in_its_place_and_drops_nothing(folder, monkeypatch, tmp_path):
    """As a process that was suspended for minutes, while another one took it for dead."""
    output, close, done = tmp_path / "set.json", zarr_writing.LayerShards.close, []

    def closing(shards):
        done.append(1)
        if len(done) == 3:
            lock_of(output).write_text("{}")
        return close(shards)

    monkeypatch.setattr(zarr_writing.LayerShards, "close", closing)
    with pytest.raises(LeaseLost, match="another one took its lease"):
        run_extract(folder, output)
    assert not output.exists() and not group_path(output).exists()
    assert len(list(partial_path(output).glob("*/done/*.json"))) == 2


def test_missing_slices_are_named(folder, tmp_path):
    run_extract(folder, tmp_path / "set.json", part=(1, 2))
    with pytest.raises(DataError, match=r"2 of 5 shards are missing[\s\S]*0, 1"):
        run_extract(folder, tmp_path / "set.json", step=finish)
    run_extract(folder, tmp_path / "set.json", part=(0, 2))
    run_extract(folder, tmp_path / "set.json", step=finish)
    assert open_store(tmp_path / "set.json").read("layer1.0").shape[0] == N


def test_grams_alone_in_several_passes_equal_those_of_the_features(folder, whole, forwarded, monkeypatch, tmp_path):
    # 1e-4 GB hold the features of one or two of the five layers at a time.
    options = ExtractionOptions(batch=BATCH, scratch_gb=1e-4)
    made, finish_step = [], passes.Partial.finish

    def failing(self, step, record):
        finish_step(self, step, record)
        made.append(step)
        if step == "pass0-grams":
            raise OSError("the disk is gone")

    monkeypatch.setattr(passes.Partial, "finish", failing)
    with pytest.raises(OSError, match="disk is gone"):
        run_extract(folder, tmp_path / "set.json", options=options, keep="gram")
    monkeypatch.setattr(passes.Partial, "finish", finish_step)
    first = sum(forwarded)
    run_extract(folder, tmp_path / "set.json", options=options, keep="gram")
    stored, full = open_store(tmp_path / "set.json"), open_store(whole)
    assert stored.manifest.record["passes"] > 1 and first == N
    assert sum(forwarded) == N * stored.manifest.record["passes"]
    for layer in full.layers:
        np.testing.assert_allclose(stored.gram(layer).products, full.gram(layer).products, rtol=1e-12)
        np.testing.assert_allclose(stored.gram(layer).sums, full.gram(layer).sums, rtol=1e-12)
    assert [layer for layer in stored.layers if stored.keeps(layer, "features")] == [full.layers[-1]]
    np.testing.assert_array_equal(stored.read(full.layers[-1]), full.read(full.layers[-1]))
    assert not (group_path(tmp_path / "set.json") / "layer1.0").exists()


def test_slices_and_several_passes_exclude_each_other(folder, tmp_path):
    options = ExtractionOptions(batch=BATCH, scratch_gb=1e-4)
    with pytest.raises(DataError, match=r"slices can't take turns[\s\S]*raise `scratch_gb`"):
        run_extract(folder, tmp_path / "set.json", options=options, part=(0, 2), keep="gram")


def _start(folder, output, part, pause=0.0, made=os.devnull, shards=None):
    """A process that extracts. shards: so many it makes, and stays in the next one until it is killed."""
    arguments = [str(folder), str(output), BATCH, part, pause, str(made), shards]
    command = [sys.executable, "-c", SCRIPT, json.dumps(arguments)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True)
