"""Checkpoints are tried on validation images: their table's accuracy is met, missed, or met with other classes."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from neuroscaling.cli.main import main
from neuroscaling.core.errors import DataError
from neuroscaling.core.records import RUN_RECORD, checked_weights, read_run
from neuroscaling.datasets.index import open_source
from neuroscaling.models.build import build
from neuroscaling.models.weights import load_weights
from neuroscaling.study.run_table import RunJob, expand_runs
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.training.checkpoint_audit import (
    AGREES,
    DIFFERS,
    OTHER_ORDER,
    Accuracy,
    ValidationImages,
    accuracy_of,
    network_file,
)
from neuroscaling.training.train import train
from tests.support.checkpoint_states import composer_state
from tests.support.digit_runs import DIGITS, digit_run, digit_subset

ARCH, WORDS = "resnet_w8", ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network that was trained on digits here, as a Composer file with its accuracy, and the validation images."""
    folder = tmp_path_factory.mktemp("audit")
    run = digit_run(ARCH, k=30, epochs=8)
    job = RunJob(run, digit_subset(folder, run), folder / run.run)
    train(job, TrainingOptions(device="cpu"))
    network = build(ARCH, 10, 0)
    load_weights(network, checked_weights(job.out), ARCH)
    torch.save(composer_state(network, epoch=8), folder / "ep8.pt")
    source = open_source("digits", DIGITS, "validation")
    for i, label in enumerate(source.index.labels.tolist()):
        for names, kind in ((list("0123456789"), "images"), (WORDS, "words")):
            place = folder / kind / names[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(source.decoded(i)).save(place / f"{i:04}.png")
    return folder, read_run(job.out / RUN_RECORD).acc


def study_of(folder, acc, *more, **changes):
    rows = [f"a,{ARCH},ep8.pt,digits,8,{acc}", *more]
    (folder / "table.csv").write_text("\n".join(["id,arch,path,dataset,epoch,acc", *rows]) + "\n")
    content = {"study": "a", "store": str(folder / "store"), "runs": [{"checkpoints": str(folder / "table.csv")}]}
    (folder / "a.yaml").write_text(json.dumps(content | changes))
    return folder / "a.yaml"


def audit(capsys, study, *arguments):
    status = main(["audit-checkpoints", str(study), *map(str, arguments), "--format", "json"])
    out, error = capsys.readouterr()
    return status, json.loads(out) if out else [], error


def test_a_network_has_the_accuracy_that_it_was_trained_to(trained, capsys):
    folder, acc = trained
    study = study_of(folder, acc, f"b,{ARCH},ep8.pt,digits,,")
    status, rows, _ = audit(capsys, study, "--images", folder / "images")
    assert status == 0 and acc > 0.5
    told, unknown = rows
    assert told["verdict"] == AGREES and abs(told["found"] - acc) <= 2 / told["images"]
    assert told["images"] == len(open_source("digits", DIGITS, "validation").index.labels)
    assert unknown["verdict"] == "no accuracy in its table" and unknown["found"] is None


def test_another_accuracy_and_another_order_of_classes_are_told_apart(trained, capsys):
    folder, acc = trained
    status, (row,), error = audit(capsys, study_of(folder, acc), "--images", folder / "words")
    assert status == 1 and row["verdict"] == OTHER_ORDER and row["found"] < 0.4 < row["reordered"]
    assert "in the order of the folders' names" in error
    status, (row,), _ = audit(capsys, study_of(folder, 0.05), "--images", folder / "images")
    assert status == 1 and row["verdict"] == DIFFERS and row["found"] > 0.5


def test_faults_are_named(trained, capsys):
    folder, acc = trained
    (folder / "few" / "a").mkdir(parents=True)
    assert "no images in class folders" in audit(capsys, study_of(folder, acc), "--images", folder / "few")[2]
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "few" / "a" / "1.png")
    error = audit(capsys, study_of(folder, acc), "--images", folder / "few")[2]
    assert "another number of classes" in error and "1 class folders" in error and "10 class folders" in error
    several = study_of(folder, acc, f"b,{ARCH},ep8.pt,numbers,,.5")
    assert "checkpoints of several data sets" in audit(capsys, several, "--images", folder / "few")[2]
    error = audit(capsys, several, "--images", folder / "few", "--dataset", "digit")[2]
    assert "no checkpoint of this data set" in error and "digits" in error


def test_weights_of_the_run_are_taken_before_the_file_and_none_where_neither_is_here(trained, tmp_path):
    folder, acc = trained
    study_of(folder, acc)
    (run,) = expand_runs(Study.model_validate({"study": "a", "runs": [{"checkpoints": str(folder / "table.csv")}]}), {})
    assert network_file(run, tmp_path / run.run) == folder / "ep8.pt"
    train(RunJob(run, None, tmp_path / run.run), TrainingOptions(device="cpu"))
    own = network_file(run, tmp_path / run.run)
    assert own == tmp_path / run.run / "weights-ep8.safetensors"
    images = ValidationImages.of(folder / "images")
    assert accuracy_of(run, own, images, CPU) == accuracy_of(run, folder / "ep8.pt", images, CPU)
    (tmp_path / "url.csv").write_text(f"id,arch,url,acc\na,{ARCH},https://example.org/a.pt,.5\n")
    (far,) = expand_runs(Study.model_validate({"study": "a", "runs": [{"checkpoints": str(tmp_path / "url.csv")}]}), {})
    assert network_file(far, tmp_path / "nowhere") is None
    with pytest.raises(DataError, match="states no accuracy"):
        (tmp_path / "none.csv").write_text(f"id,arch,path\na,{ARCH},{folder}/ep8.pt\n")
        table = {"checkpoints": str(tmp_path / "none.csv")}
        (silent,) = expand_runs(Study.model_validate({"study": "a", "runs": [table]}), {})
        accuracy_of(silent, folder / "ep8.pt", images, CPU)


def test_few_images_of_a_class_tell_nothing_of_their_order():
    assert Accuracy(stated=0.9, found=0.1, error=0.02, assigned=0.95, fewest=1).verdict == DIFFERS
    assert Accuracy(stated=0.9, found=0.1, error=0.02, assigned=0.95, fewest=50).verdict == OTHER_ORDER
    assert Accuracy(stated=0.1, found=0.9, error=0.02, assigned=0.95, fewest=50).verdict == DIFFERS
