"""Rates of a machine, their file, and the hours that a plan predicts from them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroscaling.cli.main import main
from neuroscaling.core.errors import DataError
from neuroscaling.planning.benchmark import measure_machine
from neuroscaling.planning.encoding import RidgeFit, SubjectShape, encoding_seconds, fits_of, subject_shape
from neuroscaling.planning.extraction import (
    extraction_seconds,
    forward_operations,
    network_kind,
    planned_layers,
    total_seconds,
)
from neuroscaling.planning.machine_throughput import Rates, read_rates, write_rates
from neuroscaling.regression.voxelwise.budget import flops
from neuroscaling.study.extraction_sections import ExtractionOptions
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.recordings import encoding_jobs
from neuroscaling.study.study_sections import AlgonautsEncoding
from tests.support.prepared import features_of

SLOW = Rates(
    machine="a machine of round numbers",
    cuda=False,
    products=1e9,
    products64=5e8,
    eigen=1e8,
    decode=100.0,
    write=1e6,
    forward={"none": {"tokens": 1e10, "convolutions": 2e10}},
)
STUDY = """
study: planned
store: {store}
runs:
  - {{untrained: [resnet_w8, vit_w16], seeds: [0, 1]}}
reduction: {{kind: max, sizes: [1, 2]}}
extraction: {{keep: {keep}}}
simulated:
  two: {{algonauts_subjects: 2, algonauts_train: 60, algonauts_test: 12, vertices: 30, stimuli: 100}}
encoding:
  - {{source: algonauts2023, data: {{simulated: two}}, samples: [20, all], repeats: 3}}
"""


@pytest.fixture
def rates(tmp_path):
    path = tmp_path / "rates.json"
    write_rates(SLOW, path)
    return path


def study(folder: Path, keep: str = "features") -> Path:
    path = folder / f"{keep}.yaml"
    path.write_text(STUDY.format(store=folder / "store", keep=keep))
    return path


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    return (status, *capsys.readouterr())


def test_rates_come_back(rates):
    assert read_rates(rates) == SLOW


def test_all_faults_of_a_file_of_rates_are_named(rates, tmp_path):
    wrong = {"cuda": 1, "products": 0, "decode": "fast", "forward": {"bf16": {"tokens": 1}}}
    rates.write_text(json.dumps(json.loads(rates.read_text()) | wrong))
    with pytest.raises(DataError) as error:
        read_rates(rates)
    assert [problem.where.removeprefix(f"{rates}: ") for problem in error.value.problems] == [
        "cuda", "products", "decode", "forward.bf16.convolutions"
    ]  # fmt: skip
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(DataError, match=r"not a file of rates[\s\S]*--calibrate --save"):
        read_rates(tmp_path / "other.json")


def test_a_precision_that_was_not_measured_is_named():
    with pytest.raises(DataError, match=r"this precision[\s\S]*bf16[\s\S]*none"):
        SLOW.of_network("tokens", "bf16")


def test_seconds_of_an_extraction_are_work_divided_by_rates():
    rows = planned_layers(
        "resnet_w8", features_of(["layer1.0", "layer2.0"], {"kind": "max", "sizes": [1, 2]}, keep="both"), 50
    )
    parts = extraction_seconds("resnet_w8", 50, rows, "none", SLOW)
    features = 5 * (8 + 16)
    assert parts["forward"] == pytest.approx(50 * forward_operations("resnet_w8") / 2e10)
    assert parts["decode"] == 0.5
    assert parts["write"] == pytest.approx((4 * 50 * features + 4 * 8 * 50 * 51) / 1e6)
    assert parts["gram"] == pytest.approx(2 * 50**2 * features / 5e8)
    assert total_seconds(parts) == max(parts["forward"], parts["decode"], parts["write"]) + parts["gram"]


def test_each_pass_over_the_images_counts():
    asked = features_of(["layer1.0", "layer2.0", "global_pool"], keep="gram")
    rows = planned_layers("resnet_w8", asked, 50, ExtractionOptions(scratch_gb=1e-6))
    once = planned_layers("resnet_w8", asked, 50)
    several, one = (extraction_seconds("resnet_w8", 50, plan, "none", SLOW) for plan in (rows, once))
    passes = len({row["pass"] for row in rows})
    assert passes > 1 and several["forward"] == pytest.approx(passes * one["forward"])


def test_networks_with_attention_have_their_own_rate():
    assert network_kind("vit_w16") == network_kind("one_peace_vision") == "tokens"
    assert network_kind("resnet_w8") == network_kind("convnext_xxlarge.clip_laion2b_soup") == "convolutions"


def entry(**values):
    return AlgonautsEncoding.model_validate({"source": "algonauts2023", "data": {"local": "x"}} | values)


def test_fits_are_those_of_the_mapping_sizes_and_of_a_submission():
    shape = SubjectShape(9841, 159, 39548)
    assert fits_of(entry(), "corrected", shape) == [RidgeFit(9841, 159, 1)]
    held_out = entry(samples=[10, 9000, "all"], repeats=2, evaluate="validation", validation=877, equalise=8779)
    assert fits_of(held_out, "corrected", shape) == [RidgeFit(10, 877, 2), RidgeFit(7902, 877, 2)]
    sent = entry(submissions={"a": {}})
    assert fits_of(sent, "corrected", shape) == [RidgeFit(9841, 159, 1), RidgeFit(9841, 159, 1)]


def seconds(asked, shape, keep="features", rates=SLOW, widths=(8, 400)):
    return encoding_seconds(asked, "corrected", shape, [{"features": width} for width in widths], keep, rates)


def test_seconds_are_those_of_the_cost_model_summed_over_candidates_and_sizes():
    asked = entry(samples=[40, "all"], repeats=2, ridge={"folds": 4, "penalties": [1, 10, 3]})
    shape, even = SubjectShape(100, 20, 50), replace(SLOW, eigen=SLOW.products)
    expected = sum(2 * flops(n, p, 50, 3, 4, 20) for n in (40, 100) for p in (8, 400)) / 1e9
    assert seconds(asked, shape, rates=even) == pytest.approx(expected)
    assert seconds(asked, SubjectShape(100, 20, 5000), rates=even) > 10 * expected
    # Decompositions run at a tenth of the rate: four folds of 8 features each, or of three quarters of the images.
    slower = 2 * 4 * 9 * (2 * 8**3 + 30**3 + 75**3) * (1e-8 - 1e-9)
    assert seconds(asked, shape) - expected == pytest.approx(slower)


def test_with_inner_products_alone_the_number_of_features_does_not_count():
    asked, shape = entry(ridge={"folds": 4, "penalties": [1, 10, 3]}), SubjectShape(100, 20, 50)
    assert seconds(asked, shape, "gram", widths=(8, 30)) == seconds(asked, shape, "gram", widths=(100, 9000))


def test_on_a_gpu_wide_features_take_no_decomposition():
    asked, shape = entry(ridge={"folds": 4, "penalties": [1, 10, 3]}), SubjectShape(100, 20, 50)
    fast = replace(SLOW, cuda=True)
    assert seconds(asked, shape, rates=fast, widths=(400,)) == flops(100, 400, 50, 3, 4, 20, cuda=True) / 1e9


def test_subjects_are_counted_in_a_tree_and_known_by_the_challenge(tmp_path):
    folder = tmp_path / "subj03"
    for split, n in (("training", 7), ("test", 3)):
        (folder / f"{split}_split" / f"{split}_images").mkdir(parents=True)
        (folder / f"{split}_split" / f"{split}_fmri").mkdir(parents=True)
        for i in range(n):
            name = f"{split.replace('training', 'train')}-{i + 1:04d}_nsd-{i:05d}.png"
            (folder / f"{split}_split" / f"{split}_images" / name).touch()
    (tmp_path / "subj08").mkdir()
    for side, n in (("lh", 11), ("rh", 13)):
        np.save(folder / "training_split" / "training_fmri" / f"{side}_training_fmri.npy", np.zeros((7, n), np.float32))
    one = tmp_path / "one.yaml"
    one.write_text(
        f"study: one\nstore: {tmp_path}/store\nruns: [{{untrained: [resnet_w8]}}]\n"
        "simulated:\n  two: {algonauts_subjects: 1, algonauts_train: 60, algonauts_test: 12, vertices: 30}\n"
        "encoding:\n  - {source: algonauts2023, data: {simulated: two}}\n"
    )
    loaded = load_study(one)
    (job,) = encoding_jobs(loaded)
    assert subject_shape(loaded, job) == SubjectShape(60, 12, 60)
    local = [_moved(job, tmp_path, subject) for subject in ("subj03", "subj08", "subj09")]
    found = [subject_shape(loaded, one) for one in local]
    assert found == [SubjectShape(7, 3, 24), SubjectShape(8779, 395, 39511), None]


def _moved(job, root, subject):
    return replace(job, entry=entry(), folder=root, subject=subject)


@pytest.mark.parametrize("keep", ["features", "gram"])
def test_a_plan_with_rates_has_hours_and_says_whose(keep, rates, tmp_path, capsys):
    status, out, error = run(capsys, "plan", study(tmp_path, keep), "--rates", rates, "--format", "json")
    assert status == 0 and "a machine of round numbers" in error
    rows = json.loads(out)
    total = rows.pop()
    assert {row["arch"] for row in rows} == {"resnet_w8", "vit_w16"}
    assert all(row["extraction_hours"] > 0 and row["encoding_hours"] > 0 for row in rows)
    for key in ("extraction_hours", "encoding_hours", "features_gb", "gram_gb"):
        assert total[key] == pytest.approx(sum(row[key] for row in rows), abs=1e-3)
    resnet = next(row for row in rows if row["arch"] == "resnet_w8")
    assert resnet["extraction_hours"] * 3600 > 2 * resnet["stimuli"] / 100  # two networks, 100 images a second


def test_a_plan_without_rates_has_no_hours(tmp_path, capsys):
    status, out, _ = run(capsys, "plan", study(tmp_path), "--format", "json")
    assert status == 0 and not any("hours" in key for row in json.loads(out) for key in row)


def test_options_that_contradict_each_other_are_named(rates, tmp_path, capsys):
    status, _, error = run(capsys, "plan", study(tmp_path), "--rates", rates, "--calibrate")
    assert status == 1 and "not both" in error
    status, _, error = run(capsys, "plan", study(tmp_path), "--save", tmp_path / "a", "--device", "cpu")
    assert status == 1 and error.count("add --calibrate") == 2


def test_a_measurement_gives_a_rate_of_each_kind_of_work(monkeypatch, tmp_path):
    from neuroscaling.planning import benchmark

    # Small work, and no repetition: what is measured is not how fast this machine is.
    small = {"PRODUCT": {"cpu": 64}, "FACTORED": {"cpu": 32}, "BATCH": {"cpu": 2}, "WRITTEN": 1000, "PICTURES": 2}
    small |= {"LIMIT": 0.0, "REPETITIONS": 1}
    small["ARCHS"] = {"cpu": {"tokens": "vit_tiny_patch16_224", "convolutions": "resnet10t"}}
    for name, value in small.items():
        monkeypatch.setattr(benchmark, name, value)
    found = measure_machine("cpu", tmp_path, ("none", "bf16"))
    assert "CPU" in found.machine and not found.cuda and str(torch.get_num_threads()) in found.machine
    assert set(found.forward) == {"none", "bf16"} and not any(tmp_path.iterdir())
    write_rates(found, tmp_path / "rates.json")
    assert read_rates(tmp_path / "rates.json") == found
