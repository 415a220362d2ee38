"""Networks with awkward habits: made, kept, read again and looked at layer by layer, or refused in words beforehand."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neuroscaling.activations.extraction import extract
from neuroscaling.activations.networks import normalise
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.cli.deep_checks import deep_problems
from neuroscaling.core.errors import DataError, NeuroscalingError, StudyError
from neuroscaling.core.installation import PIPELINE
from neuroscaling.models.batch_independence import TOLERANCE, company_problems
from neuroscaling.models.build import build, skeleton
from neuroscaling.models.capture import probe
from neuroscaling.models.checkpoints import build_with, tensor_problems
from neuroscaling.models.cost import count
from neuroscaling.models.heads import classes_of, head_names
from neuroscaling.models.layers import candidate_layers, readout_layer
from neuroscaling.models.state import copy_hidden, hidden_buffers, shapes, tensors_of
from neuroscaling.models.weights import read_weights, save_weights
from neuroscaling.study.extraction_job import ExtractionJob
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.recipes import load_recipe
from neuroscaling.study.run_table import RunJob, expand_runs
from neuroscaling.study.sections.extraction import ExtractionOptions, FeatureOptions
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.training import evaluation, network_trials
from neuroscaling.training.checkpoints import load_state, save_state
from neuroscaling.training.loop import fit, restore, snapshot
from neuroscaling.training.network_trials import Use, try_network
from neuroscaling.training.setup import make_objective, prepare_training
from neuroscaling.training.train import train
from tests.support.digit_runs import digit_run, digit_subset
from tests.support.prepared import write_set

SIZE, CPU = 32, torch.device("cpu")
WORK = [
    *("hidden_buffer", "hidden_attribute", "gain_afterwards", "convolutional_head", "two_heads", "two_vectors"),
    *("shared_module", "no_parameters", "looks_at_values", "squeezes", "compiled", "parallel", "half", "double"),
    *("dictionaries", "tuples", "dictionary"),
]
# Names whose last linear layer is not the one classifier, or that share modules, or whose blocks give tuples.
SEVERAL_HEADS = ["levit_128s", "deit_tiny_distilled_patch16_224", "torchvision.squeezenet1_1", "coat_tiny"]


def own(name: str) -> str:
    return f"tests.support.awkward_networks:{name}@{SIZE}"


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory) -> Path:
    """Three stimuli: in batches of two, one is left over."""
    folder = tmp_path_factory.mktemp("stimuli")
    (folder / "images").mkdir()
    rows = []
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
        sha1 = hashlib.sha1((folder / "images" / f"{i}.png").read_bytes()).hexdigest()
        rows.append({"stimulus_id": f"s{i}", "filename": f"{i}.png", "sha1": sha1, "width": SIZE, "height": SIZE})
    return write_set(folder, rows)


def extracted(arch: str, stimuli: Path, folder: Path, batch: int) -> dict[str, np.ndarray]:
    """Features of an untrained run by layer, the readout last, as two extractions give them."""
    study = {"study": "s", "runs": [{"untrained": [arch], "seeds": [5]}]}
    run = expand_runs(Study.model_validate(study), {})[0]
    train(RunJob(run, None, folder / run.run), TrainingOptions(threads=1))
    found = []
    for i in range(2):
        output = folder / f"{i}.json"
        extract(ExtractionJob(run, folder / run.run, stimuli, output), ExtractionOptions(batch=batch), device="cpu")
        stored = open_store(output)
        found.append({layer: stored.read(layer) for layer in stored.layers})
    for layer, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][layer], err_msg=layer)
    return found[0]


@pytest.mark.parametrize("name", WORK)
def test_an_awkward_network_gives_what_it_gave_when_it_was_made(name, stimuli, tmp_path):
    found = extracted(own(name), stimuli, tmp_path, batch=2)
    images = np.stack([np.asarray(Image.open(stimuli.parent / "images" / f"{i}.png")) for i in range(3)])
    with torch.no_grad():
        expected = build(own(name), 1000, 5).eval().features(normalise(images, CPU)).flatten(1)
    np.testing.assert_allclose(list(found.values())[-1], expected.numpy(), rtol=1e-4, atol=1e-6)
    path = next(tmp_path.glob("*/run.json"))
    record = json.loads(path.read_text())
    assert record["n_classes"] == 1000 and record["n_params"] == count(own(name))["n_params"]
    assert read_weights(path.parent / record["weights"])[1]["classes"] == "1000"


@pytest.mark.parametrize(
    "name, message",
    [
        ("batch_statistics", r"depend on the other images of its batch[\s\S]*layers flat"),
        ("noise", r"two passes over the same images give different features[\s\S]*layers flat"),
        ("two_tensors", r"no candidate layers[\s\S]*blocks\.0 gives a tuple of 2 tensors"),
    ],
)
def test_what_no_batch_or_block_gives_twice_is_refused_at_extraction(name, message, stimuli, tmp_path):
    with pytest.raises(DataError, match=message):
        extracted(own(name), stimuli, tmp_path, batch=2)


@pytest.mark.parametrize(
    "name, message",
    [
        ("scripted", "a scripted network"),
        ("lazy", r"lazy modules[\s\S]*more\.weight"),
        ("unfilled", r"nothing was written to[\s\S]*scale"),
        ("empty", r"on the device `meta`[\s\S]*conv1\.weight"),
    ],
)
def test_a_network_that_can_not_be_kept_is_refused_when_it_is_built(name, message):
    with pytest.raises(StudyError, match=message):
        build(own(name), 10, 0)


@pytest.mark.parametrize("arch", ["resnet_w8", "vit_w32"])
def test_rounding_is_no_dependence_on_the_batch(arch):
    model = build(arch, 10, 0)
    outputs = probe(model, [*candidate_layers(arch), readout_layer(arch)], SIZE)
    assert company_problems(arch, model, outputs, SIZE) == [] and TOLERANCE < 0.01
    with torch.no_grad():
        model.get_submodule(candidate_layers(arch)[0]).register_forward_hook(lambda *a: a[2] + 0.01 * a[2].mean(0))
    (problem,) = company_problems(arch, model, outputs, SIZE)
    assert candidate_layers(arch)[0] in problem.value


@pytest.mark.parametrize("arch", SEVERAL_HEADS)
def test_the_number_of_classes_follows_from_all_heads(arch):
    assert classes_of(arch, shapes(tensors_of(skeleton(arch, 7)))) == 7
    model = skeleton(arch)
    readout, blocks = readout_layer(arch, model), candidate_layers(arch, model)
    assert not [block for block in blocks if block.startswith("classifier")]  # SqueezeNet's ReLU behind its head
    assert len(blocks) > 3 and not readout.startswith(tuple(f"{head}." for head in head_names(arch, model)))
    assert set(probe(model, [*blocks, readout], 224)) == {*blocks, readout}


def test_blocks_that_give_two_kinds_of_tokens_are_candidates():
    """timm's TNT: pixels of each patch, and patches; one has a row an image."""
    model = skeleton("tnt_s_legacy_patch16_224")
    assert candidate_layers("tnt_s_legacy_patch16_224", model) == [f"blocks.{i}" for i in range(12)]


@pytest.mark.parametrize("arch", ["torchvision.squeezenet1_1", "levit_128s"])
def test_weights_of_a_network_with_other_heads_come_back(arch, tmp_path):
    original, path = build(arch, 7, 3), tmp_path / f"{arch}.safetensors"
    save_weights(original, path, {})
    assert tensor_problems(arch, path) == []
    same(build_with(arch, path), original)


def test_shared_tensors_are_written_once(tmp_path):
    model, path = build(own("shared_module"), 10, 0), tmp_path / "weights.safetensors"
    save_weights(model, path, {"arch": own("shared_module")})
    tensors, metadata = read_weights(path)
    shared = {"blocks.1.0.weight": "blocks.0.0.weight", "blocks.1.0.bias": "blocks.0.0.bias"}
    assert json.loads(metadata["aliases"]) == shared | {"tied.weight": "conv2.weight"}
    assert not set(json.loads(metadata["aliases"])) & set(tensors)
    loaded = build_with(own("shared_module"), path)
    same(loaded, model)
    assert loaded.tied.weight is loaded.conv2.weight


def test_what_the_state_dictionary_leaves_out_is_kept_as_training_left_it(tmp_path):
    arch = own("hidden_buffer")
    model, path = build(arch, 10, 0), tmp_path / "weights.safetensors"
    model.projection.mul_(3)
    save_weights(model, path, {"arch": arch, "seed": "0", "classes": "10"})
    assert torch.equal(build_with(arch, path).projection, model.projection)
    other = build(arch, 10, 1)
    copy_hidden(model, other)
    assert torch.equal(other.projection, model.projection) and list(hidden_buffers(other)) == ["projection"]
    assert torch.equal(model.projection, build(arch, 10, 0).projection * 3)


@pytest.mark.usefixtures("one_thread")
def test_hidden_state_is_trained_averaged_and_resumed(tmp_path):
    run = digit_run(own("hidden_count"), k=3, epochs=1, ema=0.5, name="hidden")
    subset = digit_subset(tmp_path, run)
    training = prepare_training(RunJob(run, subset, tmp_path / "run"), CPU, TrainingOptions())
    network = training.objective.network
    fit(training, lambda: None, lambda: None)
    assert network.passes > 0 and torch.equal(training.scored.passes, network.passes)
    kept = build_with(run.arch, tmp_path / "run" / "weights-ep1.safetensors")
    assert torch.equal(kept.passes, network.passes)
    again = prepare_training(RunJob(run, subset, tmp_path / "again"), CPU, TrainingOptions())
    save_state(tmp_path / "state", 1, snapshot(training, "this"))
    restore(again, load_state(tmp_path / "state", "this"))
    assert torch.equal(again.objective.network.passes, network.passes)


def same(one: torch.nn.Module, other: torch.nn.Module) -> None:
    pairs = zip(tensors_of(one).items(), tensors_of(other).items(), strict=True)
    assert all(name == again and torch.equal(a, b) for (name, a), (again, b) in pairs)


def with_prefix(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize("arch", ["resnet_w8", "vit_w32"])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "teacher.backbone.", "_orig_mod.module."])
def test_a_prefix_of_all_names_is_taken_off(arch, prefix, tmp_path):
    original, path = build(arch, 10, 3), tmp_path / "weights.pth"
    torch.save({"state_dict": with_prefix(prefix, original.state_dict()), "epoch": 3}, path)
    same(build_with(arch, path), original)


def test_the_one_network_of_a_file_is_found_among_other_tensors(tmp_path):
    original, path = build("resnet_w8", 10, 3), tmp_path / "weights.pth"
    beside = {"loss.weight": torch.ones(3), "optimizer": {"lr": 0.1}}
    torch.save({**with_prefix("model.", original.state_dict()), **beside}, path)
    same(build_with("resnet_w8", path), original)
    teacher = with_prefix("backbone.", original.state_dict())
    torch.save({"teacher": teacher, "head": {"mlp.weight": torch.ones(3)}}, path)
    same(build_with("resnet_w8", path), original)


def test_weights_of_two_networks_are_told_unless_one_is_dinos_teacher(tmp_path):
    networks, path = [build("resnet_w8", 10, seed) for seed in (3, 4)], tmp_path / "weights.pth"
    states = [network.state_dict() for network in networks]
    first, second = with_prefix("backbone.", states[0]), with_prefix("module.backbone.", states[1])
    torch.save({"left": first, "right": second}, path)
    with pytest.raises(DataError, match="several networks") as caught:
        build_with("resnet_w8", path)
    assert "`left.backbone.`, `right.module.backbone.`" in str(caught.value)
    torch.save({"teacher": first, "student": second}, path)
    same(build_with("resnet_w8", path), networks[0])
    torch.save({"left": first, "right": with_prefix("module.", states[0])}, path)
    same(build_with("resnet_w8", path), networks[0])


def test_a_prefix_of_names_that_do_not_fit_is_told(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(with_prefix("module.", build("vit_w32", 10, 3).state_dict()), path)
    with pytest.raises(DataError, match=r"all names begin with `module\.`"):
        build_with("resnet_w8", path)


def test_files_from_before_batch_normalisation_counted(tmp_path):
    original, path = build("resnet_w8", 10, 3), tmp_path / "weights.pth"
    torch.save({name: value for name, value in original.state_dict().items() if "num_batches" not in name}, path)
    same(build_with("resnet_w8", path), original)


def test_a_single_image_left_over_is_evaluated_as_any_other(monkeypatch):
    class Images:
        n_images = 3

        def chunks(self, batch):
            for start in range(0, 3, batch):
                yield pixels[start : start + batch], torch.zeros(batch, dtype=torch.int64)[: 3 - start]

    pixels = torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    model = build(own("squeezes"), 10, 0)
    whole = evaluation.evaluate(model, Images(), "fp32", CPU)
    monkeypatch.setattr(evaluation, "BATCH", 2)
    assert evaluation.evaluate(model, Images(), "fp32", CPU) == pytest.approx(whole)


@pytest.mark.parametrize("name", ["no_parameters", "frozen"])
def test_a_network_with_nothing_to_train_is_refused(name):
    with pytest.raises(StudyError, match="without parameters that can be trained"):
        make_objective(load_recipe("digits"), build(own(name), 10, 0), own(name), 10, 5, 0)


@pytest.mark.parametrize(
    "name, message",
    [
        ("batch_statistics", "depend on the other images of its batch"),
        ("noise", "two passes over the same images"),
        ("two_tensors", "no candidate layers"),
        ("scripted", "a scripted network"),
        ("unfilled", "nothing was written to"),
        ("counter", "part of it is in no tensor"),
        ("frozen", "without parameters that can be trained"),
        ("no_parameters", "without parameters that can be trained"),
        ("dictionary", "doesn't give logits of 7 classes"),
    ],
)
def test_a_trial_says_what_training_and_extraction_would_meet(name, message):
    use = Use(own(name), frozenset({"trained"}), frozenset({"supervised"}), {})
    try:
        found = try_network(use, FeatureOptions())
    except NeuroscalingError as error:
        found = error.problems
    assert message in "\n".join(map(str, found)), found


@pytest.mark.parametrize("name", sorted({*WORK} - {"no_parameters", "dictionary"}))
def test_a_trial_passes_what_works(name):
    assert try_network(Use(own(name), frozenset({"trained"}), frozenset({"supervised"}), {}), FeatureOptions()) == []


def test_self_supervision_needs_one_linear_classifier():
    use = Use(own("two_heads"), frozenset({"trained"}), frozenset({"simclr"}), None)
    (problem,) = try_network(use, FeatureOptions())
    assert "one linear classifier" in problem.what and problem.value == "fc, other.1"


def test_check_names_the_networks_that_would_fail_before_anything_is_trained(tmp_path):
    content = {
        "study": "awkward",
        "store": str(tmp_path / "store"),
        "runs": [{"untrained": [own("noise"), own("two_tensors"), own("shared_module"), "resnet_w8"]}],
        "simulated": {"brain": {}},
        "brainscore": {"data": {"simulated": "brain"}, "benchmarks": ["MajajHong2015public.IT-pls"]},
    }
    found = deep_problems(LoadedStudy(tmp_path / "awkward.yaml", Study.model_validate(content)))
    assert [problem.where for problem in found] == [own("noise"), own("two_tensors")]


def test_a_sound_network_of_a_library_is_tried_out_once(tmp_path, monkeypatch):
    content = {"study": "once", "store": str(tmp_path / "store"), "runs": [{"untrained": ["test_vit4"]}]}
    study = LoadedStudy(tmp_path / "once.yaml", Study.model_validate(content))
    assert network_trials.network_problems(study) == []
    monkeypatch.setattr(network_trials, "try_network", lambda *given: pytest.fail("tried out again"))
    assert network_trials.network_problems(study) == []


def test_checking_a_study_of_the_zoo_takes_no_torch(tmp_path):
    """It runs at every start of the workflow: networks of the zoo are known to be sound."""
    study = PIPELINE / "config/studies/demo.yaml"
    code = (
        "import sys\nfrom neuroscaling.cli.main import main\n"
        f"sys.exit(main(['check', {str(study)!r}]) or ('torch' in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
