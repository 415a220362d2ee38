"""`neuroscaling store list|usage|unused`: bytes by stage, run and study, and what no study names."""

import csv
import io
import json

import pytest

from neuroscaling.cli.main import main
from neuroscaling.cli.output import in_units
from tests.store.tiny_store import FILES, OF_A_RUN, RUNS, make_store, names_of_run, put, start_study

RUN_BYTES = sum(OF_A_RUN.values())


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "store")


def rows(capsys, *arguments):
    assert main(["store", *map(str, arguments), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_bytes_by_stage(store, capsys):
    found = {row["stage"]: row for row in rows(capsys, "usage", store)}
    assert found["weights"] == {"stage": "weights", "artefacts": 2, "files": 2, "bytes": 2000}
    assert found["scores"] == {"stage": "scores", "artefacts": 2, "files": 4, "bytes": 40}
    assert sum(row["bytes"] for row in found.values()) == sum(FILES.values()) + 2 * RUN_BYTES


def test_bytes_by_run(store, capsys):
    put(store / f"runs/{RUNS[1]}/weights-ep2.safetensors", 1)
    first, second, rest = rows(capsys, "usage", store, "--by", "run")
    assert (first["run"], first["weights"], first["bytes"]) == (RUNS[1], 1001, RUN_BYTES + 1)
    assert (second["run"], second["activations"], second["scores"]) == (RUNS[0], 510, 20)
    assert (rest["run"], rest["bytes"]) == (None, sum(FILES.values()))


def test_bytes_by_study_and_what_one_alone_names(store, capsys, tmp_path):
    start_study(tmp_path / "ann", "first", names_of_run(RUNS[0]))
    start_study(tmp_path / "bob", "second", names_of_run(RUNS[0]) + names_of_run(RUNS[1]))
    first, second = rows(capsys, "usage", store, tmp_path / "ann", tmp_path / "bob", "--by", "study")
    shared = 100 + 50  # the subset and the stimuli
    assert (first["study"], first["bytes"], first["alone"]) == ("first", RUN_BYTES + shared, 0)
    assert (second["study"], second["bytes"], second["alone"]) == ("second", 2 * RUN_BYTES + shared, RUN_BYTES)


def test_what_no_study_names_is_unused_and_downloads_belong_to_nobody(store, capsys, tmp_path):
    start_study(tmp_path / "ann", "first", names_of_run(RUNS[0]))
    found = rows(capsys, "unused", store, tmp_path / "ann")
    assert {(row["stage"], row["run"]) for row in found} == {
        *((stage, RUNS[1]) for stage in ("runs", "weights", "activations", "commitments", "scores")),
        ("simulated", None),
        ("recordings", None),
    }


def test_a_folder_without_studies_is_an_error_and_does_not_make_everything_unused(store, capsys, tmp_path):
    start_study(tmp_path / "ann", "first", names_of_run(RUNS[0]))
    assert main(["store", "unused", str(store), str(tmp_path / "ann"), str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert not out and f"{tmp_path}: no study was started here" in err


def test_an_altered_list_of_names_is_refused(store, capsys, tmp_path):
    start_study(tmp_path / "ann", "first", names_of_run(RUNS[0]))
    file = tmp_path / "ann/results/first/artefacts.json"
    file.write_text(file.read_text().replace(RUNS[0], RUNS[1]))
    assert main(["store", "unused", str(store), str(tmp_path / "ann")]) == 1
    assert "the file was altered" in capsys.readouterr().err


def test_the_list_of_a_study_files_store(store, capsys, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(f"study: s\nstore: {store}\nruns: [{{untrained: [resnet18]}}]\n")
    found = rows(capsys, "list", study, "--stage", "weights", "--run", "*_10_*")
    assert [(row["name"], row["bytes"]) for row in found] == [(f"runs/{RUNS[0]}", 1000)]


def test_tables_have_units_and_csv_has_numbers(store, capsys):
    assert main(["store", "usage", str(store)]) == 0
    out, err = capsys.readouterr()
    assert ["weights", "2", "2", "2", "kB"] in [line.split() for line in out.splitlines()]
    assert "artefacts, " in err
    assert main(["store", "usage", str(store), "--format", "csv"]) == 0
    read = {row["stage"]: row["bytes"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert read["weights"] == "2000"


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_600, "1 MB"), (2_345_000_000, "2.35 GB")]
)
def test_bytes_in_units(size, words):
    assert in_units(size) == words
