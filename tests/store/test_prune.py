"""`neuroscaling store prune`: dry by default, never what a job holds, and whole or gone whenever it is killed."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from neuroscaling.cli.main import main
from neuroscaling.store import prune
from neuroscaling.store.contents import store_contents
from tests.store.tiny_store import RUNS, SET, make_store, names_of_run, put, start_study

HOLDER = """
import sys
from pathlib import Path
from neuroscaling.core.leases import held

with held(Path(sys.argv[1]), "the artefact"):
    print("held", flush=True)
    sys.stdin.read()
"""
ACTIVATIONS = f"activations/{RUNS[0]}/{SET}-88888888"


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "store")


@contextmanager
def held_by_another(path):
    """Another process holds the lease of `path`."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield
    finally:
        process.communicate("")


def files(store):
    return {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}


def pruned(store, *arguments):
    """Names of the files that pruning took."""
    before = files(store)
    assert main(["store", "prune", str(store), *map(str, arguments), "--delete"]) == 0
    return before - files(store)


def test_nothing_goes_without_delete(store, capsys):
    before = files(store)
    assert main(["store", "prune", str(store), "--stage", "activations"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["stage", "activations", "activations"]
    assert "2 artefacts, 1.02 kB: would go" in err
    assert files(store) == before


def test_a_stage_goes_and_the_rest_stays(store, capsys):
    gone = pruned(store, "--stage", "activations")
    assert gone == {
        f"activations/{run}/{SET}-88888888{rest}" for run in RUNS for rest in (".json", ".zarr/layer1/c/0/0")
    }
    err = capsys.readouterr().err
    assert "2 artefacts, 1.02 kB: gone" in err
    assert "scores and choices of layers of these runs (4) stay" in err
    assert not store_contents(store).of(["activations", "unfinished", "temporary"])


def test_runs_can_be_chosen(store):
    assert {name.split("/")[1] for name in pruned(store, "--stage", "activations", "--run", "*_all_*")} == {RUNS[1]}


def test_weights_go_and_the_record_stays(store, capsys):
    assert pruned(store, "--stage", "weights", "--run", RUNS[0]) == {f"runs/{RUNS[0]}/weights-ep1.safetensors"}
    assert "trains them again (0 have none here)" in capsys.readouterr().err


def test_a_run_goes_with_its_weights_and_its_state(store):
    put(store / f"runs/{RUNS[0]}/state/last.pt", 5)
    gone = pruned(store, "--stage", "runs", "--run", RUNS[0])
    assert {name.removeprefix(f"runs/{RUNS[0]}/") for name in gone} == {
        "run.json",
        "history.parquet",
        "weights-ep1.safetensors",
        "state/last.pt",
    }
    assert not (store / "runs" / RUNS[0]).exists()


def test_only_what_no_study_names(store, tmp_path):
    start_study(tmp_path / "ann", "first", names_of_run(RUNS[0]))
    gone = pruned(store, "--stage", "activations", "weights", "stimuli", "--unused", tmp_path / "ann")
    assert {name.split("/")[1] for name in gone} == {RUNS[1]}


def test_only_what_is_old(store):
    old = time.time() - 10 * 86400
    os.utime(store / f"scores/IT-pls-aaaabbbb/{RUNS[0]}.json", (old, old))
    os.utime(store / f"scores/IT-pls-aaaabbbb/{RUNS[0]}.targets.parquet", (old, old))
    gone = pruned(store, "--stage", "scores", "--older-than", "9")
    assert gone == {f"scores/IT-pls-aaaabbbb/{RUNS[0]}{end}" for end in (".json", ".targets.parquet")}


def test_write_protected_folders_go(store):
    folder = put(store / "data/brainscore/0123/a.nc", 5).parent
    folder.chmod(0o555)
    assert "data/brainscore/0123/a.nc" in pruned(store, "--stage", "data")


@pytest.mark.parametrize(
    ("stage", "lease"),
    [
        ("activations", f"{ACTIVATIONS}.json"),
        ("activations", f"scores/IT-pls-cccccccc/{RUNS[0]}.json"),  # a job that scores it
        ("weights", f"runs/{RUNS[0]}"),
        ("weights", f"activations/{RUNS[0]}/other-1.json"),  # an extraction reads them
        ("weights", f"activations/{RUNS[0]}/.other-1.zarr.partial/slice-0-2"),
        ("runs", f"runs/{RUNS[0]}"),
        ("scores", f"scores/IT-pls-aaaabbbb/{RUNS[0]}.json"),
    ],
)
def test_what_a_job_makes_or_reads_stays_and_the_holder_is_named(store, capsys, stage, lease):
    with held_by_another(store / lease):
        before = files(store)
        arguments = ["store", "prune", str(store), "--stage", stage, "--run", RUNS[0]]
        assert main(arguments) == 0
        assert "process " in capsys.readouterr().out
        assert main([*arguments, "--delete"]) == 1
        out, err = capsys.readouterr()
        assert files(store) == before
        assert out == "nothing\n" and f"process {os.getpid()} of" not in err and "a job makes it or reads" in err
    assert main([*arguments, "--delete"]) == 0


def test_stimuli_stay_while_an_extraction_may_read_them(store, capsys):
    with held_by_another(store / f"activations/{RUNS[0]}/other-1.json"):
        assert main(["store", "prune", str(store), "--stage", "stimuli", "--delete"]) == 1
    assert (store / f"stimuli/{SET}/images/a.png").exists()
    assert pruned(store, "--stage", "stimuli") == {f"stimuli/{SET}/manifest.json", f"stimuli/{SET}/images/a.png"}


@pytest.mark.parametrize("lease", ["data/brainscore", "data/prefetched/objects.json", "recordings/v4-1/210325"])
def test_downloads_stay_while_a_job_may_write_or_read_them(store, lease):
    put(store / "data/brainscore/0123/a.nc", 5)
    with held_by_another(store / lease):
        assert main(["store", "prune", str(store), "--stage", "data", "--delete"]) == 1
        assert (store / "data/brainscore/0123/a.nc").exists()
    assert "data/brainscore/0123/a.nc" in pruned(store, "--stage", "data")


def test_a_killed_prune_leaves_nothing_half_under_its_name(store, monkeypatch):
    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(prune, "_delete", killed)
        assert main(["store", "prune", str(store), "--stage", "activations", "--delete"]) == 130
    found = store_contents(store)
    assert [artefact.run for artefact in found.of(["activations"])] == [RUNS[1]]
    assert not found.of(["unfinished"]) and len(found.of(["temporary"])) == 2


def test_the_record_goes_first(store, monkeypatch):
    """Killed between two renamings: content without a record is unfinished, a record without content would be a lie."""
    renamed = []

    def rename(path, aside):
        renamed.append(path.name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(prune.os, "rename", rename)
        assert main(["store", "prune", str(store), "--stage", "activations", "--delete"]) == 130
    assert renamed == [f"{SET}-88888888.json"]


def test_files_of_dead_writers_go_after_an_hour_and_those_of_the_living_stay(store, capsys):
    old, owner = time.time() - 2 * 3600, store / f"{ACTIVATIONS}.json"
    left = [
        put(store / f"scores/IT-pls-aaaabbbb/.{RUNS[0]}.json.0123abcd.partial", 5),
        put(store / ".room-0123abcd", 1),
    ]
    kept = put(store / f"activations/{RUNS[0]}/.{owner.name}.0123abcd.partial", 5)
    young = put(store / "scores/IT-pls-aaaabbbb/.other.json.0123abcd.partial", 5)
    with held_by_another(owner):
        put(kept, 5)  # by the holder, who removed what was there
        for file in (*left, kept):
            os.utime(file, (old, old))
        assert main(["store", "prune", str(store), "--stage", "temporary", "--delete"]) == 1
        assert not any(file.exists() for file in left)
        assert kept.exists() and young.exists()
    assert "less than an hour ago" in capsys.readouterr().err


def test_the_state_of_a_training_goes_only_when_asked(store):
    put(store / f"runs/{RUNS[0]}/state/last.pt", 5)
    assert pruned(store, "--stage", "temporary") == set()
    assert pruned(store, "--stage", "unfinished") == {f"runs/{RUNS[0]}/state/last.pt"}


def test_what_nobody_knows_is_not_pruned(store, capsys):
    assert main(["store", "prune", str(store), "--stage", "unknown", "--delete"]) == 1
    assert "nobody knows what this is" in capsys.readouterr().err
    assert (store / "notes/readme.txt").exists()
