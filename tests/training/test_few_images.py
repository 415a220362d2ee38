"""What few images do to a run: averages that are still the random start, and steps of a single image."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from neuroscaling.cli.main import main
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.models.build import build
from neuroscaling.study.architectures import architecture
from neuroscaling.study.recipes import PROTOCOLS, Recipe, load_recipe
from neuroscaling.study.run_table import RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.image_views import views_of
from neuroscaling.training.job import train_runs
from neuroscaling.training.schedule import StepPlan
from neuroscaling.training.setup import ONE_VALUE, make_objective, trains_on_one_image
from neuroscaling.training.weight_averaging import make_ema, start_note, start_share
from tests.support.digit_runs import DIGITS, digit_run, digit_subset

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS = TrainingOptions(device="cpu", threads=1)
RECIPE = "epochs: 2\nbatch_size: 64\noptimizer: adamw\nlearning_rate: 1.0e-3\n"
STUDY = """
study: few
store: store
datasets: {digits: {format: digits}}
runs:
  - {archs: [resnet_w4, vit_w16], datasets: [digits], recipe: mine.yaml, images: [1, 30], seeds: [0, 1]}
"""


def recipe_of(folder, text, protocol="corrected"):
    (folder / "mine.yaml").write_text(RECIPE + text)
    return load_recipe(str(folder / "mine.yaml"), protocol)


def study_of(folder, text, study=STUDY):
    recipe_of(folder, text)
    (folder / "study.yaml").write_text(study.replace("mine.yaml", str(folder / "mine.yaml")))
    return str(folder / "study.yaml")


# Averages


def test_an_average_warms_up_where_the_recipe_does_not_say_and_the_protocol_is_not_parity(tmp_path):
    found = {p: recipe_of(tmp_path, "ema: 0.9999\n", p).ema_warmup for p in PROTOCOLS}
    assert found == {"corrected": True, "parity": False}
    assert not recipe_of(tmp_path, "ema: 0.9999\nema_warmup: false\n").ema_warmup
    assert recipe_of(tmp_path, "ema: 0.9\nparity: {ema_warmup: true}\n", "parity").ema_warmup
    assert not any(recipe_of(tmp_path, "", protocol).ema_warmup for protocol in PROTOCOLS)


@pytest.mark.parametrize("warmup", [False, True])
@pytest.mark.parametrize("decay, n_steps", [(0.9999, 80), (0.9, 5), (0.5, 1)])
def test_the_share_of_the_start_is_that_of_timms_average(warmup, decay, n_steps, tmp_path):
    recipe = recipe_of(tmp_path, f"ema: {decay}\nema_warmup: {str(warmup).lower()}\n")
    network = nn.Linear(1, 1, bias=False)
    nn.init.ones_(network.weight)
    ema = make_ema(recipe, network)
    nn.init.zeros_(network.weight)
    for step in range(1, n_steps + 1):
        ema.update(network, step)
    assert start_share(recipe, n_steps) == pytest.approx(ema.module.weight.item(), rel=1e-4)


def test_words_come_with_more_than_a_twentieth_of_the_start(tmp_path):
    recipe = recipe_of(tmp_path, "ema: 0.9\nema_warmup: false\n")
    assert 0.9**29 < 0.05 < 0.9**28
    assert start_note(recipe, 29) is None and "after 28 steps, 5 % of the average" in start_note(recipe, 28)


def test_check_and_plan_name_the_runs_whose_average_is_the_start(tmp_path, capsys):
    study = study_of(tmp_path, "ema: 0.9999\nema_warmup: false\n", STUDY.replace("[1, 30]", "[300]"))
    for command, stream in (("check", "out"), ("plan", "err")):
        assert main([command, study]) == 0
        lines = [line for line in getattr(capsys.readouterr(), stream).splitlines() if "that is scored" in line]
        assert len(lines) == 1 and lines[0].startswith("recipe mine: after 10 steps, 99.9 % of the average")
        assert "4 of its runs: resnet_w4_digits_n300_s0-" in lines[0]
    study = study_of(tmp_path, "ema: 0.9999\n", STUDY.replace("[1, 30]", "[300]"))
    assert main(["check", study]) == 0 and "average" not in capsys.readouterr().out


@pytest.mark.parametrize("by_epoch", [False, True])
def test_the_share_of_the_start_is_that_of_dinos_teacher(by_epoch, tmp_path):
    text = f"objective: dino\ndino: {{teacher_momentum: 0.9, momentum_by_epoch: {str(by_epoch).lower()}}}\n"
    recipe, n_steps = recipe_of(tmp_path, text), 6
    objective = make_objective(recipe, build("resnet_w4", 10, 0), "resnet_w4", 10, n_steps, 0)
    weights = next(objective.teacher.parameters()), next(objective.network.parameters())
    for weight, value in zip(weights, (1.0, 0.0), strict=True):
        nn.init.constant_(weight, value)
    for step in range(n_steps):
        objective.before_step(step)
        objective._count = 1
        objective.after_step(step)
    assert start_share(recipe, n_steps) == pytest.approx(weights[0].mean().item(), rel=1e-4)
    assert "% of the teacher that is scored (`teacher_momentum: 0.9`)" in start_note(recipe, n_steps)
    assert start_share(recipe, 10**6) == 0 and start_note(load_recipe("dino"), 500_500) is None


def test_the_log_says_that_an_average_is_the_start_and_warm_up_helps(tmp_path, caplog):
    found = {}
    for warmup in (False, True):
        caplog.clear()
        run = digit_run(k=30, recipe="digits", ema=0.9999, ema_warmup=warmup, epochs=8)
        out = tmp_path / str(warmup)
        assert train_runs([RunJob(run, digit_subset(tmp_path, run), out)], OPTIONS) == []
        found[warmup] = (
            json.loads((out / "run.json").read_text())["acc"],
            "of the average that is scored" in caplog.text,
        )
    assert found[False][1] and not found[True][1]
    assert found[False][0] < 0.3 < 0.6 < found[True][0]


# Single images


SMALLEST = [(1, 64, None, 1), (65, 64, None, 65), (65, 64, 16, 16), (7, 1, None, 1)]


@pytest.mark.parametrize("n, batch, micro, smallest", SMALLEST)
def test_what_goes_through_the_network_at_once(n, batch, micro, smallest, tmp_path):
    recipe = load_recipe("digits").model_copy(update={"batch_size": batch, "micro_batch": micro})
    assert StepPlan.of(recipe, "resnet_w4", 0, n).smallest_unit() == smallest
    assert StepPlan.of(recipe, "resnet_w4", 0, n, world=2).smallest_unit() == smallest  # they share statistics


@pytest.mark.parametrize("recipe", ["digits", "digits_simclr", "digits_dino", "digits_ffgsm"])
@pytest.mark.parametrize("arch", ["resnet_w4", "vit_w16"])
def test_shapes_tell_what_a_step_on_one_image_does(arch, recipe):
    loaded = load_recipe(recipe)
    objective = make_objective(loaded, build(arch, 10, 0), arch, 10, 1, 0).train()
    images = [torch.rand(1, 3, view.size, view.size) for view in views_of(loaded, architecture(arch).input_size)]
    try:
        objective(*objective.mixed(images, torch.zeros(1, dtype=torch.int64), 0))
        trains = True
    except ValueError as error:
        assert ONE_VALUE in str(error)
        trains = False
    assert trains_on_one_image(arch, loaded, 10) == trains
    assert trains == (recipe == "digits_dino" or (arch == "vit_w16" and recipe != "digits_simclr"))


def test_mixed_labels_of_one_image_have_shapes_too():
    recipe = Recipe.model_validate(load_recipe("digits").model_dump() | {"loss": "bce", "mixup": 0.8})
    assert trains_on_one_image("vit_w16", recipe, 10) and not trains_on_one_image("resnet_w4", recipe, 10)


def test_check_refuses_runs_on_one_image_where_there_is_batch_normalisation(tmp_path, capsys):
    assert main(["check", study_of(tmp_path, "")]) == 1
    said = capsys.readouterr().err
    assert "1 problem;" in said and "resnet_w4_digits_n1_s0-" in said and "resnet_w4_digits_n1_s1-" in said
    assert "can't be trained on one image" in said and "vit_w16" not in said and "n30" not in said
    assert main(["check", study_of(tmp_path, "", STUDY.replace("[1, 30]", "[2, 30]"))]) == 0
    assert main(["check", study_of(tmp_path, "micro_batch: 1\n", STUDY.replace("[1, 30]", "[30]"))]) == 1
    assert "a larger micro_batch in the recipe mine" in capsys.readouterr().err


def test_a_run_on_one_image_is_marked_failed_and_the_others_are_made(tmp_path):
    jobs = []
    for n in (1, 30):
        run = replace(digit_run("resnet_w4", epochs=1, warmup_epochs=0), run=f"n{n}", subset=f"n{n}")
        index = load_index("digits", DIGITS, "train")
        subset = tmp_path / f"n{n}.parquet"
        write_subset(subset, index, list(range(n)), f"n{n}", 0)
        jobs.append(RunJob(replace(run, samples_per_class=None), subset, tmp_path / f"n{n}"))
    for _ in range(2):  # the second time nothing is left to do, and the job ends well again
        (failure,) = train_runs(jobs, OPTIONS)
        assert failure.run == "n1" and "can't be trained on one image at a time" in failure.problem
        records = [json.loads((job.out / "run.json").read_text()) for job in jobs]
        assert [record["status"] for record in records] == ["failed", "done"] and records[0]["lasting"]
