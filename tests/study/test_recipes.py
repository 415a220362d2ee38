"""Recipes: the bundled ones in both protocols, faults of one's own, schedules, parameter groups."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from neuroscaling.core.errors import StudyError
from neuroscaling.models.build import build
from neuroscaling.study import architectures
from neuroscaling.study.recipes import PROTOCOLS, Recipe, checkpoint_epochs, load_recipe, recipe_names
from neuroscaling.study.run_table import expand_runs
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.study.sections.yaml_document import read_document
from neuroscaling.training.image_views import image_passes, views_of
from neuroscaling.training.optimisers import annealed, learning_rate, make_optimizer, set_rates, weight_decay
from neuroscaling.training.schedule import StepPlan, evaluation_epochs
from neuroscaling.training.weight_averaging import make_ema

PUBLISHED = {"sgd100", "convnext300", "deit300", "simclr100", "simclr100_vit", "dino", "ffgsm10"}
FASHION = {"fashion", "fashion_some", "fashion_few"}
PASSES = {"digits_1pass", "digits_4passes", "digits_16passes"}
TOYS = {"digits", "digits_simclr", "digits_dino", "digits_ffgsm"} | PASSES | FASHION


def changed(name, **changes):
    return Recipe.model_validate(load_recipe(name).model_dump() | changes)


# Bundled recipes


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", sorted(PUBLISHED | TOYS))
def test_each_bundled_recipe_loads_and_survives_json(name, protocol):
    recipe = load_recipe(name, protocol)
    assert recipe.name == name and Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert "parity" not in recipe.model_dump()


def test_the_bundled_recipes_are_those_of_the_study_and_toys_and_every_key_is_explained():
    assert set(recipe_names()) == PUBLISHED | TOYS
    assert all(field.description for field in Recipe.model_fields.values())


def test_the_recipes_of_the_ladder_of_passes_differ_in_their_passes_alone():
    settings = {load_recipe(name).epochs: load_recipe(name).model_dump() for name in PASSES}
    scaled = {"name", "epochs", "warmup_epochs", "evaluations"}
    assert len({str({k: v for k, v in own.items() if k not in scaled}) for own in settings.values()}) == 1
    assert {epochs: own["warmup_epochs"] / epochs for epochs, own in settings.items()} == dict.fromkeys(
        (1, 4, 16), 0.125
    )


def test_the_published_numbers():
    keys = ("epochs", "batch_size", "optimizer", "learning_rate", "weight_decay", "warmup_epochs", "min_learning_rate")
    numbers = {name: tuple(getattr(load_recipe(name), key) for key in keys) for name in PUBLISHED}
    assert numbers == {
        "sgd100": (100, 256, "sgd", 0.1, 1e-4, 5, 1e-5),
        "convnext300": (300, 4096, "adamw", 4e-3, 0.05, 20, 1e-6),
        "deit300": (300, 2048, "adamw", 3e-3, 0.02, 5, 1e-5),
        "simclr100": (100, 512, "lars", 1.697, 1e-6, 10, 1e-6),
        "simclr100_vit": (100, 512, "adamw", 1e-4, 0.05, 10, 1e-6),
        "dino": (100, 256, "adamw", 5e-4, 0.04, 10, 1e-6),
        "ffgsm10": (10, 256, "sgd", 0.1, 1e-4, 2, 1e-5),
    }
    convnext, deit, ffgsm = (load_recipe(name) for name in ("convnext300", "deit300", "ffgsm10"))
    assert (convnext.mixup, convnext.cutmix, convnext.label_smoothing, convnext.loss) == (0.8, 1.0, 0.1, "soft_target")
    assert (deit.loss, deit.gradient_clip, deit.repeated_augmentation, deit.drop_path_form) == ("bce", 1, 3, "constant")
    assert [convnext.images_at_once(arch) for arch in ("convnext_tiny", "convnext_large")] == [512, 256]
    assert [deit.images_at_once(arch) for arch in ("deit_tiny", "deit_large", "deit_huge")] == [512, 256, 128]
    assert (255 * ffgsm.adversarial.epsilon, 255 * ffgsm.adversarial.alpha) == pytest.approx((1, 1.25))
    assert (ffgsm.start.recipe, ffgsm.start.samples_per_class, ffgsm.schedule) == ("sgd100", "all", "linear")


@pytest.mark.parametrize("name", sorted(PUBLISHED - {"dino"}))
def test_parity_repeats_the_quirks_and_corrected_does_not(name):
    corrected, parity = (load_recipe(name, protocol) for protocol in PROTOCOLS)
    assert parity.decay_norms_and_biases and not corrected.decay_norms_and_biases
    assert (parity.precision, corrected.precision) == ("fp16", "bf16")
    assert (parity.crops, corrected.crops) == ("originals", "stored")
    assert parity.drop_last and not corrected.drop_last
    assert parity.ema == corrected.ema and not parity.ema_warmup and corrected.ema_warmup == (corrected.ema is not None)


def test_interpolations_of_both_protocols():
    def both(name, key):
        return [getattr(load_recipe(name, protocol), key) for protocol in PROTOCOLS]

    assert both("deit300", "interpolation") == ["bicubic", "bilinear"]
    assert both("convnext300", "interpolation") == ["bicubic", "bicubic"]
    assert both("convnext300", "validation_interpolation") == ["bicubic", "lanczos"]
    assert both("sgd100", "validation_resize") == ["short_side", "squash"]
    assert load_recipe("dino", "parity").dino.momentum_by_epoch and not load_recipe("dino").dino.momentum_by_epoch
    assert load_recipe("dino", "parity").dino.local_crops == load_recipe("dino").dino.local_crops == 8


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_two_names_of_a_network_have_one_stochastic_depth_and_one_micro_batch(name):
    recipe = load_recipe(name)
    for key in ("drop_path", "micro_batches"):
        by_network = {}
        for arch in architectures.architecture_names():
            by_network.setdefault(str(architectures.architecture_definition(arch)), set()).add(
                getattr(recipe, key).get(arch)
            )
        assert all(len(numbers) == 1 for numbers in by_network.values())


# Fine-tuning


def runs_of(folder, recipe, **starts):
    """The runs of a study of `recipe`, where recipe `a` of `starts` (a=b) starts from 10 images a class of recipe b."""
    for name, start in starts.items():
        path = start if start in recipe_names() else folder / f"{start}.yaml"
        (folder / f"{name}.yaml").write_text(
            f"epochs: 1\nbatch_size: 8\noptimizer: sgd\nlearning_rate: 0.1\n"
            f"start: {{recipe: {path}, samples_per_class: 10}}\n"
        )
    group = {
        "archs": ["resnet_w8"],
        "datasets": ["digits"],
        "samples_per_class": [5],
        "recipe": f"{folder}/{recipe}.yaml",
    }
    study = {"study": "s", "datasets": {"digits": {"format": "digits"}}, "runs": [group]}
    return expand_runs(Study.model_validate(study), {"digits": "0" * 16})


def test_fine_tuning_of_a_fine_tuned_network_trains_all_that_lead_to_it(tmp_path):
    runs = runs_of(tmp_path, "twice", twice="once", once="digits")
    assert [run.recipe.name for run in runs] == ["digits", "once", "twice"]
    assert [run.start for run in runs] == [None, runs[0].run, runs[1].run]
    assert [run.samples_per_class for run in runs] == [10, 10, 5]


def test_recipes_that_start_from_each_other_are_refused(tmp_path):
    with pytest.raises(StudyError, match="start from each other") as caught:
        runs_of(tmp_path, "one", one="two", two="one")
    assert caught.value.problems[0].value == "one from two from one"


@pytest.mark.parametrize("k", ["al", 0, -2])
def test_the_subset_of_the_first_run_is_a_number_or_all(k):
    with pytest.raises(ValidationError, match="samples_per_class"):
        changed("digits_ffgsm", start={"recipe": "digits", "samples_per_class": k})


# Schedules


def test_the_learning_rate_rises_and_falls_as_a_cosine():
    recipe = load_recipe("sgd100")
    rates = [learning_rate(recipe, step, 10) for step in range(1000)]
    assert np.argmax(rates) == 50 and rates[50] == 0.1 and rates[-1] == pytest.approx(1e-5)
    np.testing.assert_allclose(np.diff(rates[:51]), 0.1 / 51)
    middle = 1e-5 + (0.1 - 1e-5) * (1 + math.cos(math.pi * 474 / 949)) / 2
    assert rates[50 + 474] == pytest.approx(middle, rel=1e-12)
    assert np.all(np.diff(rates[50:]) < 0)


def test_the_learning_rate_of_fine_tuning_falls_in_a_line():
    rates = [learning_rate(load_recipe("ffgsm10"), step, 2) for step in range(20)]
    np.testing.assert_allclose(rates[:5], [0.02, 0.04, 0.06, 0.08, 0.1])
    np.testing.assert_allclose(np.diff(rates[4:]), (1e-5 - 0.1) / 15)
    assert rates[-1] == pytest.approx(1e-5)


def test_weight_decay_stays_or_grows_along_a_cosine():
    assert {weight_decay(load_recipe("sgd100"), step, 3) for step in (0, 150, 299)} == {1e-4}
    recipe = load_recipe("dino")
    decays = [weight_decay(recipe, step, 2) for step in range(200)]
    assert decays[0] == pytest.approx(0.04) and decays[-1] == 0.4
    assert decays[50] == pytest.approx(0.4 + (0.04 - 0.4) * (1 + math.cos(math.pi * 50 / 199)) / 2)


def test_a_run_of_one_step_trains_at_the_peak():
    assert annealed("cosine", 0.1, 0.0, 0, 0) == 0.1
    assert learning_rate(changed("digits", epochs=1, warmup_epochs=0), 0, 1) == 3e-3


def test_evaluations_and_checkpoints_on_the_published_schedule_or_log_spaced():
    recipe = load_recipe("sgd100")
    assert evaluation_epochs(recipe) >= {0, 1, 100} and len(evaluation_epochs(recipe)) <= 12
    assert evaluation_epochs(changed("sgd100", evaluations=40)) == {0, 40, 80, 100}
    assert evaluation_epochs(load_recipe("sgd100", "parity")) == set(range(101))
    assert checkpoint_epochs(recipe) == {100}
    files = {name: checkpoint_epochs(load_recipe(name, "parity")) for name in ("sgd100", "convnext300", "ffgsm10")}
    assert [len(files[name]) for name in ("sgd100", "convnext300", "ffgsm10")] == [28, 32, 10]
    assert {10, 15, 100} <= files["sgd100"] and files["convnext300"] - files["sgd100"] == {150, 200, 250, 300}
    assert {1, 100} <= checkpoint_epochs(changed("sgd100", checkpoints="log"))
    published = checkpoint_epochs(changed("sgd100", checkpoints="published", epochs=201))
    assert {epoch for epoch in published if epoch > 100} == {150, 200, 201}
    assert checkpoint_epochs(changed("sgd100", checkpoints=[3, 20])) == {3, 20, 100}
    with pytest.raises(ValueError, match="101 is more than epochs"):
        changed("sgd100", checkpoints=[3, 101])


@pytest.mark.parametrize("n, sizes", [(128, [64, 64]), (129, [64, 64]), (191, [64, 64]), (65, [64]), (63, [63])])
def test_a_last_batch_that_is_left_out_leaves_none_of_its_images_to_another(n, sizes):
    plan = StepPlan(seed=0, n_images=n, epochs=1, batch_size=64, drop_last=True)
    assert [len(request.rows) for request in plan.requests(0)] == sizes


@pytest.mark.parametrize("n, taken", [(600, 512), (256, 256), (100, 100)])
def test_repeated_augmentation_takes_each_image_three_times_in_a_row(n, taken):
    once, three = (StepPlan(seed=0, n_images=n, epochs=1, batch_size=64, repeats=repeats) for repeats in (1, 3))
    order = three.order(1).tolist()
    assert len(order) == taken and len(once.order(1)) == n
    assert order == [image for image in once.order(1).tolist() for _ in range(3)][:taken]


# Optimisers


@pytest.mark.parametrize("arch", ["resnet_w8", "vit_w16"])
def test_norms_biases_and_positions_decay_only_where_the_recipe_says_so(arch):
    network = build(arch, 10, 0)
    free, decaying = make_optimizer(changed("digits", decay_norms_and_biases=False), network).param_groups
    of = {id(parameter): name for name, parameter in network.named_parameters()}
    kept = {of[id(parameter)] for parameter in decaying["params"]}
    assert kept and all(name.endswith("weight") and network.get_parameter(name).ndim > 1 for name in kept)
    exempt = {of[id(parameter)] for parameter in free["params"]}
    assert exempt | kept == set(of.values()) and not exempt & kept
    assert arch != "vit_w16" or {"pos_embed", "cls_token"} <= exempt
    (everything,) = make_optimizer(changed("digits", decay_norms_and_biases=True), network).param_groups
    assert len(everything["params"]) == len(of) and everything["weight_decay"] == 0.05


def test_rates_are_set_in_every_group_and_parameters_that_do_not_train_have_none():
    network = build("resnet_w8", 10, 0)
    network.fc.requires_grad_(False)
    recipe = changed("digits", decay_norms_and_biases=False, final_weight_decay=0.5)
    optimizer = make_optimizer(recipe, nn.ModuleDict({"network": network}))
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert id(network.fc.weight) not in trained and id(network.conv1[0].weight) in trained
    assert set_rates(optimizer, recipe, 159, 10) == pytest.approx(1e-5)
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(1e-5, 0), (1e-5, 0.5)]


def test_sgd_is_without_nesterov_and_lars_adapts_only_what_decays():
    network = build("resnet_w8", 10, 0)
    sgd = make_optimizer(load_recipe("sgd100"), network)
    assert type(sgd) is torch.optim.SGD and sgd.defaults["momentum"] == 0.9 and not sgd.defaults["nesterov"]
    lars = make_optimizer(load_recipe("simclr100"), network)
    weight, bias = network.fc.weight, network.fc.bias
    before = weight.detach().clone(), bias.detach().clone()
    weight.grad, bias.grad = torch.randn_like(weight), torch.randn_like(bias)
    lars.step()
    decayed = weight.grad + 1e-6 * before[0]
    ratio = 1e-3 * before[0].norm() / (weight.grad.norm() + 1e-6 * before[0].norm())
    torch.testing.assert_close(weight, before[0] - 1.697 * ratio * decayed)
    torch.testing.assert_close(bias, before[1] - 1.697 * bias.grad)


def test_the_moving_average_warms_up_only_in_the_corrected_protocol():
    def after_three_steps(protocol):
        network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(network.weight)
        ema = make_ema(load_recipe("deit300", protocol), network)
        for step in (1, 2, 3):
            nn.init.constant_(network.weight, float(step))
            ema.update(network, step)
        return ema.module.weight.item()

    shares = [2 ** (-2 / 3), 3 ** (-2 / 3)]
    second = 1 + shares[0] * (2 - 1)
    assert after_three_steps("corrected") == pytest.approx(second + shares[1] * (3 - second), rel=1e-6)
    random_share = 1 - 1e-4
    assert after_three_steps("parity") == pytest.approx(1e-4 * (random_share**2 + 2 * random_share + 3), rel=1e-4)
    assert make_ema(load_recipe("sgd100"), nn.Linear(1, 1)) is None


# Views


def test_views_and_what_they_cost():
    (view,) = views_of(load_recipe("convnext300"), 224)
    assert (view.size, view.crop, view.flip, view.erasing) == (224, "random", 0.5, 0.25)
    assert (view.auto_augment, view.interpolation, view.jitter) == ("rand-m9-mstd0.5-inc1", "bicubic", (0, 0, 0, 0))
    assert views_of(load_recipe("deit300"), 224)[0].jitter == (0.3, 0.3, 0.3, 0)
    first, second = views_of(load_recipe("simclr100"), 224)
    assert first == second and (first.jitter, first.jitter_probability) == ((0.8, 0.8, 0.8, 0.2), 0.8)
    sizes = [view.size for view in views_of(load_recipe("dino"), 224)]
    assert sizes == [224, 224, *[96] * 8]
    assert [view.solarize for view in views_of(load_recipe("dino"), 224)] == [0, 0.2, *[0] * 8]
    assert [image_passes(load_recipe(name), 224) for name in ("sgd100", "simclr100")] == [1, 2]
    assert image_passes(load_recipe("ffgsm10"), 224) == pytest.approx(5 / 3)
    assert image_passes(load_recipe("dino"), 224) == pytest.approx(2 + 8 * (96 / 224) ** 2 + 2 / 3)


def test_recipes_import_neither_torch_nor_pandas():
    code = (
        "import sys; from neuroscaling.study.recipes import load_recipe;"
        "from neuroscaling.training.image_views import image_passes; image_passes(load_recipe('dino'), 224);"
        "assert not {'torch', 'timm', 'pandas', 'PIL'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fashions_recipes_differ_in_their_passes_alone():
    passes = {"name", "epochs", "warmup_epochs", "evaluations"}
    rest = [load_recipe(name).model_dump(exclude=passes) for name in sorted(FASHION)]
    assert rest[0] == rest[1] == rest[2]


def test_every_run_of_fashion_takes_a_hundred_steps_at_least():
    study = Study.model_validate(read_document(Path("config/studies/fashion.yaml"), "study file", "").content)
    trained = [run for run in expand_runs(study, {"fashion": "00000000"}) if run.recipe]
    images = {run.samples_per_class: 60_000 if run.subset == "all" else 10 * int(run.subset) for run in trained}
    assert (len(trained), sorted(images.values())) == (108, [10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 60_000])
    steps = [run.recipe.epochs * math.ceil(images[run.samples_per_class] / run.recipe.batch_size) for run in trained]
    assert min(steps) == 100
