"""What trainings do and take, before they start: counts, rates, jobs, time limits, and the published study's plan."""

import json
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.models.cost import count
from neuroscaling.planning.training_jobs import job_memory_mb
from neuroscaling.planning.training_throughput import (
    CEILING,
    EVALUATION_CEILING,
    Speeds,
    TrainingRate,
    speeds_of,
    stated_speed,
    training_rate_file,
    write_training_rate,
)
from neuroscaling.planning.training_time import (
    BY_POLICY,
    JOB_START,
    STREAMED,
    UNKNOWN_MINUTES,
    JobEstimate,
    feeding_rate,
    job_estimates,
    job_minutes,
    limit_minutes,
    run_estimates,
    run_seconds,
    wall_seconds,
)
from neuroscaling.planning.workload import (
    ArchCost,
    DatasetSize,
    cost_of,
    dataset_size,
    definition_of,
    listed_cost,
    subset_images,
    work_of,
)
from neuroscaling.study import architectures
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.sections.networks import GPUS, Training
from neuroscaling.training.schedule import BANK
from tests.support.small_plan import write_small

GOKCE = "config/studies/gokce2025.yaml"
IMAGENET = DatasetSize(1000, 1_281_167, 50_000)
# Supervised networks of the published study: family, data set -> k (0: all) -> number of models.
GRID = {0: 3, 1: 3, 3: 1, 10: 3, 30: 1, 100: 3, 300: 1}
PUBLISHED = {
    **{("AlexNet", dataset): GRID for dataset in ("imagenet", "ecoset")},
    **{("CORnet-S", dataset): GRID for dataset in ("imagenet", "ecoset")},
    **{("ConvNeXt", dataset): {k: 4 * n for k, n in GRID.items()} for dataset in ("imagenet", "ecoset")},
    **{("ViT", dataset): {k: 4 * n for k, n in GRID.items()} for dataset in ("imagenet", "ecoset")},
    **{("ResNet", dataset): {k: 5 * n for k, n in GRID.items()} for dataset in ("imagenet", "ecoset")},
    ("EfficientNet", "ecoset"): {k: 3 * n for k, n in GRID.items()},
    ("EfficientNet", "imagenet"): {k: 3 * n for k, n in GRID.items()} | {1: 7, 100: 8},
    **{(family, dataset): {0: 4} for family in ("ConvNeXtFlex", "ViTFlex") for dataset in ("imagenet", "ecoset")},
    ("ResNetFlex", "imagenet"): {0: 34},
    ("ResNetFlex", "ecoset"): {0: 33},
}


@pytest.fixture(scope="module")
def gokce(tmp_path_factory):
    """The published study, its images nowhere."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IMAGENET", "ECOSET", "IMAGENET21KP", "WEBVISIONP", "WEBVISION", "PLACES365", "INATURALIST"):
            patch.delenv(f"{name}_ROOT", raising=False)
        patch.setenv("NEUROSCALING_STORE", str(tmp_path_factory.mktemp("store")))
        study = load_study(GOKCE, planning=True)
        assert study.runs
    return study


@pytest.fixture
def small(tmp_path):
    return write_small(tmp_path)


def counts(rows):
    """Rows of (family, dataset, k) as those of PUBLISHED."""
    found: dict = {}
    for family, dataset, k in rows:
        cell = found.setdefault((family, dataset), {})
        cell[k] = cell.get(k, 0) + 1
    return found


def supervised(study):
    """The runs of the 620: supervised, on all classes of ImageNet and EcoSet."""
    return [
        run for run in study.runs.values()
        if run.recipe.objective == "supervised" and run.dataset in ("imagenet", "ecoset")
    ]  # fmt: skip


def rate(arch="resnet18", **values):
    known = {"device": "NVIDIA H100 80GB HBM3", "arch": arch, "definition": definition_of(arch), "precision": "bf16"}
    known |= {"batch": 256, "train": 1000.0, "evaluate": 4000.0, "torch": "2", "compiled": False}
    return TrainingRate(**(known | values))


def measured(*rates):
    return Speeds("a100", {(one.definition, one.precision): one for one in rates})


def test_the_published_study_has_its_620_supervised_networks(gokce):
    runs = supervised(gokce)
    assert len(runs) == 620 and sum(sum(cell.values()) for cell in PUBLISHED.values()) == 620
    rows = [(run.family, run.dataset, 0 if run.samples_per_class == "all" else run.samples_per_class) for run in runs]
    assert counts(rows) == PUBLISHED


def test_the_published_study_has_its_other_networks(gokce):
    objectives = [run.recipe.objective for run in gokce.runs.values()]
    assert {name: objectives.count(name) for name in set(objectives)} == {
        "supervised": 656, "simclr": 36, "dino": 3, "adversarial": 35
    }  # fmt: skip
    assert len(gokce.runs) == 730
    assert sum(run.subset == "c1000" for run in gokce.runs.values()) == 3


def test_counts_and_images_seen_are_those_of_the_published_table(gokce, published_dir):
    table = pd.read_csv(published_dir / "benchmark_scores.csv").drop_duplicates("model_id")
    flags = ["is_pretrained", "is_random", "is_ssl", "is_adv", "is_ablation"]
    table = table[~table[flags].any(axis=1) & table["dataset"].isin(["imagenet", "ecoset"])]
    keys = table[["arch_family", "dataset", "samples_per_class"]]
    assert counts(keys.itertuples(index=False, name=None)) == PUBLISHED
    found = run_estimates(gokce, Speeds("a100"))
    ours = {
        (one.run.arch, one.run.dataset, one.run.subset, one.run.seed): one.work.images_seen
        for one in found if one.run.recipe.objective == "supervised"
    }  # fmt: skip
    for row in table.itertuples():
        subset = "all" if row.samples_per_class == 0 else str(row.samples_per_class)
        assert ours[row.arch, row.dataset, subset, row.seed] == row.n_samples_seen, row.model_id


def test_other_data_sets_have_as_many_images_as_published(gokce, published_dir):
    table = pd.read_csv(published_dir / "benchmark_scores.csv").drop_duplicates("model_id")
    flags = ["is_pretrained", "is_random", "is_ssl", "is_adv", "is_ablation"]
    others = table[
        ~table[flags].any(axis=1) & ~table["dataset"].isin(["imagenet", "ecoset", "imagenet21kP-class-1000"])
    ]
    ours = [
        (one.run.arch, one.run.dataset, one.work.n_samples)
        for one in run_estimates(gokce, Speeds("a100"))
        if one.run.dataset not in ("imagenet", "ecoset") and one.run.subset != "c1000"
    ]
    assert sorted(ours) == sorted(others[["arch", "dataset", "n_samples"]].itertuples(index=False, name=None))


def test_every_network_of_the_zoo_is_in_the_shipped_table():
    missing = [arch for arch in architectures.architecture_names() if listed_cost(arch) is None]
    assert missing == [], "write it anew: python tools/network_tables.py"


@pytest.mark.parametrize("arch", ["resnet_w8", "resnet18", "deitflex-l-3"])
def test_the_shipped_table_holds_what_is_counted(arch):
    counted = count(arch)
    assert listed_cost(arch) == ArchCost(counted["n_params"], counted["macs"])


def test_time_limits_of_the_published_study_need_no_torch():
    code = (
        "import sys; from neuroscaling.study.loaded_study import load_study;"
        f"study = load_study({GOKCE!r}, planning=True);"
        "from neuroscaling.planning.training_time import job_minutes;"
        "found = [job_minutes(study, [run]) for run in study.runs.values()];"
        "assert min(found) >= 10 and max(found) > 600;"
        "print([name for name in ('torch', 'timm', 'pandas', 'PIL') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_tokens_of_subsets_are_counted():
    size = DatasetSize(1000, 1_281_167, 50_000)
    found = [subset_images(token, size) for token in ("10", "p10", "all", "n5000", "c100", "n9000000", "5000")]
    assert found == [10_000, 10_000, 1_281_167, 5000, 128_117, 1_281_167, 1_281_167]


def test_digits_are_counted_and_what_is_nowhere_is_taken_as_declared():
    assert dataset_size("digits", DatasetSettings("digits")) == DatasetSize(10, 1438, 359)
    declared = DatasetSettings("imagefolder", classes=565, images=1_444_911)
    assert dataset_size("ecoset", declared) == DatasetSize(565, 1_444_911, 28_250)
    with pytest.raises(DataError, match="no root"):
        dataset_size("ecoset", DatasetSettings("imagefolder"))


def run_of(gokce, arch, subset, objective="supervised"):
    return next(
        run for run in gokce.runs.values()
        if (run.arch, run.dataset, run.subset, run.recipe.objective) == (arch, "imagenet", subset, objective)
    )  # fmt: skip


def test_work_is_that_of_the_recipe(gokce):
    cost = ArchCost(10, 100)
    work = work_of(run_of(gokce, "resnet18", "1"), IMAGENET, cost)
    assert (work.n_samples, work.images_seen, work.facts.passes) == (1000, 100_000, 1)
    assert work.flops == 3 * 2 * 100 * 100_000
    assert work.evaluated % 50_000 == 0 and work.evaluated < 100 * 50_000  # not after each of 100 epochs
    # SGD keeps one number more for each parameter; two states of four bytes a number.
    assert work.states == 2 * 4 * 2 * 10 and work.weights == 4 * 10 * work.facts.checkpoints
    average = work_of(run_of(gokce, "deit_tiny", "all"), IMAGENET, cost)
    assert average.images_seen == 300 * 1_281_167 and average.states == 2 * 4 * 4 * 10


def test_other_objectives_cost_more_passes(gokce):
    cost = ArchCost(10, 100)
    simclr = work_of(run_of(gokce, "resnet18", "1", "simclr"), IMAGENET, cost)
    adversarial = work_of(run_of(gokce, "resnet18", "1", "adversarial"), IMAGENET, cost)
    dino = work_of(run_of(gokce, "resnet50", "all", "dino"), IMAGENET, cost)
    assert simclr.facts.passes == 2 and adversarial.facts.passes == pytest.approx(5 / 3) and dino.facts.passes > 3
    assert simclr.flops == 2 * 6 * 100 * simclr.images_seen and adversarial.images_seen == 10 * 1000
    # Without labels validation images are compared with training images, at most so many.
    evaluations = dino.evaluated / (50_000 + BANK)
    assert evaluations == int(evaluations) and simclr.evaluated % 51_000 == 0


@pytest.mark.parametrize("gpu", GPUS)
def test_stated_speeds_are_shares_of_the_peak_up_to_a_ceiling(gpu):
    speed = stated_speed(gpu, "ResNet", 10**12, 224)
    assert speed.train == pytest.approx(0.17 * GPUS[gpu] / 6e12) and speed.evaluate == 3 * speed.train
    tiny, smaller = stated_speed(gpu, "ResNet", 1000, 224), stated_speed(gpu, "ResNet", 1000, 112)
    assert (tiny.train, tiny.evaluate, smaller.train) == (CEILING, EVALUATION_CEILING, 4 * CEILING)


def test_a_measured_speed_is_of_this_architecture_and_precision(gokce):
    run, macs = run_of(gokce, "resnet18", "all"), cost_of("resnet18").macs
    own = measured(rate()).of(run, macs)
    assert (own.source, own.train, own.evaluate) == ("measured", 1000, 4000)
    others = measured(rate("resnet34"), rate(precision="fp32"), rate(definition="other"))
    assert others.of(run, macs) == Speeds("a100").of(run, macs) and others.of(run, macs).source == "17 % of A100"
    assert others.of(run_of(gokce, "deit_tiny", "all"), 10**9).source == "35 % of A100"


def test_seconds_are_images_divided_by_rates(gokce):
    run = run_of(gokce, "resnet18", "1", "simclr")
    work = work_of(run, IMAGENET, cost_of("resnet18"))
    seconds = run_seconds(work, measured(rate()).of(run, work.cost.macs))
    assert seconds == pytest.approx(2 * work.images_seen / 1000 + work.evaluated / 4000)


def test_feeding_limits_what_is_not_decoded_once(gokce):
    cost = ArchCost(10, 100)
    kept, streamed, changed = (
        work_of(run_of(gokce, *one), IMAGENET, cost)
        for one in (("resnet18", "1"), ("resnet18", "all"), ("deit_tiny", "1"))
    )
    assert (kept.facts.stored_side, kept.facts.from_squares) == (256, True)
    assert (kept.facts.by_policy, changed.facts.by_policy) == (False, True)
    assert feeding_rate(kept, Training(cpus=16)) is None
    assert feeding_rate(streamed, Training(cpus=16)) == STREAMED * 16
    assert feeding_rate(streamed, Training(cpus=16, resident_gb=252)) is None
    assert feeding_rate(kept, Training(cpus=16, resident_gb=0.1)) == STREAMED * 16
    assert feeding_rate(changed, Training(cpus=2)) == BY_POLICY * 2
    assert feeding_rate(streamed, Training(cpus=16, gpus=4)) == STREAMED * 4
    speed = measured(rate()).of(run_of(gokce, "resnet18", "all"), cost_of("resnet18").macs)
    assert run_seconds(streamed, speed, 20) == pytest.approx(streamed.images_seen / 20 + streamed.evaluated / 4000)
    assert run_seconds(streamed, speed, 20_000) == run_seconds(streamed, speed)


def test_rates_are_kept_by_device_and_found_by_a_part_of_its_name(tmp_path):
    assert speeds_of("h100", tmp_path) == Speeds("h100") and speeds_of(None, tmp_path) == Speeds("a100")
    write_training_rate(tmp_path, rate())
    found = Speeds("h100", measured(rate()).measured)
    assert [speeds_of(name, tmp_path) for name in ("h100", "80gb", None)] == [found] * 3
    assert speeds_of("a100", tmp_path) == Speeds("a100")
    write_training_rate(tmp_path, rate(device="NVIDIA L40S"))
    assert speeds_of("l40s", tmp_path).gpu == "a100" and speeds_of(None, tmp_path) == Speeds("a100")
    with pytest.raises(StudyError, match=r"(?s)unknown GPU.*nvidia-l40s.*nearest: +h200.*--calibrate"):
        speeds_of("h20a", tmp_path)


@pytest.mark.parametrize("change", [{"train": 0}, {"train": "5"}, {"format": "training-rate/1"}, {"steps": 30}])
def test_a_file_that_holds_no_rate_is_named_with_its_key(tmp_path, change):
    write_training_rate(tmp_path, rate())
    path = training_rate_file(tmp_path, "NVIDIA H100 80GB HBM3", "resnet18", "bf16")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match="not a rate of training") as error:
        speeds_of("h100", tmp_path)
    assert error.value.problems[0].where == f"{path}: {next(iter(change))}"


def test_jobs_fill_the_gpus_the_longest_first():
    jobs = [JobEstimate((str(seconds),), 1, seconds) for seconds in (2, 3, 2, 1)]
    assert [wall_seconds(jobs, gpus) for gpus in (1, 2, 9)] == [8, 4, 3]
    two = JobEstimate(("both",), 2, 3)
    assert wall_seconds([two, *jobs], 2) == 7 and wall_seconds([two], 1) == 6


def test_small_runs_share_jobs_and_pay_one_start(small):
    study = load_study(small)
    runs = run_estimates(study, Speeds("a100"))
    jobs = job_estimates(study, runs)
    assert sorted(len(job.runs) for job in jobs) == [1, 4, 4, 4]
    assert sorted(name for job in jobs for name in job.runs) == sorted(study.runs)
    assert sum(job.seconds for job in jobs) == pytest.approx(sum(one.seconds for one in runs) + 4 * JOB_START)
    alone = replace(study, config=study.config.model_copy(update={"training": study.config.training.model_copy(
        update={"small": 0, "gpus": 2})}))  # fmt: skip
    assert (
        all(job.gpus == 2 and len(job.runs) == 1 for job in job_estimates(alone, runs))
        and len(job_estimates(alone, runs)) == 13
    )


def test_time_limits_are_a_multiple_in_steps_of_ten_minutes():
    assert [limit_minutes(seconds) for seconds in (1, 230, 231, 3600)] == [10, 10, 20, 160]


def test_a_job_asks_for_the_memory_of_the_images_that_it_keeps_decoded(gokce):
    named = {(run.arch, run.dataset, run.subset): run for run in gokce.runs.values() if run.seed == 0}
    kept, validation, processes = 100_000 * 256**2 * 3e-6, 50_000 * 224**2 * 3e-6, 3000 + 15 * 500
    run, changed = named["alexnet", "imagenet", "100"], named["deit_tiny", "imagenet", "100"]
    whole = replace(run, recipe=run.recipe.model_copy(update={"augmentation": "none", "crops": "originals"}))
    # A policy changes images one by one: none is kept.
    for one, squares in ((run, kept), (changed, 0), (whole, kept * (224 / 256) ** 2)):
        assert job_memory_mb(gokce, [one]) == pytest.approx(processes + squares / 0.6 + validation, abs=1)


def test_a_job_asks_for_the_memory_of_packs_that_it_copies_there(gokce):
    run = next(run for run in gokce.runs.values() if run.dataset == "imagenet" and run.kind == "trained")
    images = 1_281_167 + 50_000
    for pack, each in (
        ({"form": "decoded"}, 256**2 * 3),
        ({"size": 224}, 1.4 * 0.28 * 224**2 * 4 / 3),
        ({"size": None}, 1.4 * 110_000),
    ):
        asked = {}
        for stage in ("memory", "disk"):
            training = {"packs": {"imagenet": pack, "ecoset": pack}, "stage": stage, "scratch": "/scratch", "cpus": 9}
            config = gokce.config.model_copy(update={"training": Training.model_validate(training)})
            asked[stage] = job_memory_mb(replace(gokce, config=config), [run])
        assert asked["memory"] - asked["disk"] == pytest.approx(images * each / 1e6, abs=2)


def test_a_study_without_a_gpu_has_no_estimated_limits(small, gokce):
    study = load_study(small)
    runs = list(study.runs.values())
    assert job_minutes(study, runs) == UNKNOWN_MINUTES
    large = run_of(gokce, "deit_large", "all")
    assert job_minutes(gokce, [large], gpus=8) < job_minutes(gokce, [large]) / 7
    assert job_minutes(gokce, [large, large]) > 1.9 * job_minutes(gokce, [large])
