"""What is in a store: each file is of one artefact, whose stage and run are right."""

import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.store.contents import belongs_to, selected_artefacts, store_contents
from tests.store.tiny_store import FILES, OF_A_RUN, RUNS, SET, make_store, put


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "store")


def only(store, stage):
    (found,) = store_contents(store).of([stage])
    return found


def test_every_byte_is_of_one_artefact(store):
    found = store_contents(store)
    sizes = sum(FILES.values()) + len(RUNS) * sum(OF_A_RUN.values())
    assert sum(artefact.bytes for artefact in found.artefacts) == sizes
    assert sum(artefact.files for artefact in found.artefacts) == len(FILES) + len(RUNS) * len(OF_A_RUN)
    paths = [path for artefact in found.artefacts for path in artefact.paths]
    assert len(paths) == len(set(paths))


def test_stages_names_and_runs(store):
    found = store_contents(store)
    named = {(artefact.stage, artefact.name, artefact.run) for artefact in found.artefacts}
    run = RUNS[0]
    assert named >= {
        ("subsets", "subsets/digits-aaaaaaaa/10-s0-44444444.parquet", None),
        ("packs", "packs/digits-aaaaaaaa/jpeg-32/train.json", None),
        ("runs", f"runs/{run}", run),
        ("weights", f"runs/{run}", run),
        ("simulated", "simulated/brain-55555555", None),
        ("stimuli", f"stimuli/{SET}", None),
        ("activations", f"activations/{run}/{SET}-88888888.json", run),
        ("commitments", f"commitments/IT-pls-99999999/{run}.json", run),
        ("scores", f"scores/IT-pls-aaaabbbb/{run}.json", run),
        ("recordings", "recordings/nsd-66666666/subj01", None),
        ("ceilings", "ceilings/IT-pls-77777777.json", None),
        ("data", "data/published/benchmark_scores.csv", None),
        ("cache", ".cache", None),
        ("unknown", "notes", None),
    }
    assert found.runs() == list(RUNS)


def test_files_called_after_a_record_are_its_own_and_the_longest_name_wins(tmp_path):
    """A run named `a` and one named `a.b`: each has its targets."""
    for name in ("a.json", "a.targets.parquet", "a.b.json", "a.b.targets.parquet"):
        put(tmp_path / "scores/IT-1" / name, 1)
    parts = {
        artefact.run: [part.name for part in artefact.parts] for artefact in store_contents(tmp_path).of(["scores"])
    }
    assert parts == {"a": ["a.targets.parquet"], "a.b": ["a.b.targets.parquet"]}


def test_what_has_no_record_is_unfinished(store):
    (store / f"activations/{RUNS[0]}/{SET}-88888888.json").unlink()
    (store / f"runs/{RUNS[1]}/run.json").unlink()
    put(store / f"runs/{RUNS[0]}/state/last.pt", 50)
    (store / f"stimuli/{SET}/manifest.json").unlink()
    put(store / f"activations/{RUNS[1]}/.{SET}-88888888.zarr.partial/facts.json", 1)
    assert {artefact.name for artefact in store_contents(store).of(["unfinished"])} == {
        f"activations/{RUNS[0]}/{SET}-88888888.zarr",
        f"activations/{RUNS[1]}/.{SET}-88888888.zarr.partial",
        f"runs/{RUNS[1]}",
        f"runs/{RUNS[0]}/state",
        f"stimuli/{SET}",
    }
    assert [artefact.name for artefact in store_contents(store).of(["runs"])] == [f"runs/{RUNS[0]}"]


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("scores/IT-1/.a.json.0123abcd.partial", "scores/IT-1/a.json"),
        ("stimuli/.s-1.0123abcd.old", "stimuli/s-1"),
        ("runs/.r-1.lock", "runs/r-1"),
        ("runs/.r-1.lock.0123abcd.stale", "runs/r-1"),
        ("scores/IT-1/.a.json.progress.json", "scores/IT-1/a.json"),
        ("scores/IT-1/..a.json.progress.json.0123abcd.partial", "scores/IT-1/a.json"),
        ("subsets/d-1/.10-s0-1.parquet.0123abcd.partial", "subsets/d-1/10-s0-1.parquet"),
    ],
)
def test_temporary_files_and_locks_name_whose_they_are(tmp_path, name, owner):
    put(tmp_path / name, 1)
    assert only(tmp_path, "temporary").name == name
    assert belongs_to(tmp_path / name) == tmp_path / owner


def test_symbolic_links_are_not_followed_and_count_as_links(store, tmp_path):
    put(tmp_path / "elsewhere/large.bin", 5000)
    (store / "data/linked").mkdir()
    (store / "data/linked/here").symlink_to(tmp_path / "elsewhere")
    (found,) = [artefact for artefact in store_contents(store).of(["data"]) if artefact.name == "data/linked/here"]
    assert found.bytes < 5000 and found.files == 1


def test_a_store_that_is_not_there_is_refused_with_the_nearest(store):
    with pytest.raises(DataError, match=r"there is no store here(.|\n)*nearest: .*store"):
        store_contents(store.with_name("stroe"))
    with pytest.raises(DataError, match="not a store but a file"):
        store_contents(store / "data/published/benchmark_scores.csv")


def test_stages_and_runs_can_be_chosen_and_unknown_ones_are_refused(store):
    found = store_contents(store)
    assert [artefact.run for artefact in selected_artefacts(found, ["activations"], "*_all_*")] == [RUNS[1]]
    with pytest.raises(DataError, match=r"no such stage(.|\n)*nearest: +activations"):
        selected_artefacts(found, ["activation"])
    with pytest.raises(DataError, match="no such run"):
        selected_artefacts(found, ["activations"], "vgg*")
