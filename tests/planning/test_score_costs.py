"""What scores cost before they are computed: the metrics of encoding, and Brain-Score's memory."""

from dataclasses import replace
from itertools import pairwise

import pytest

from neuroscaling.brainscore.environment import estimate_mb
from neuroscaling.cli.plan_scores import brainscore_rows, encoding_rows
from neuroscaling.encoding.metrics import METRICS
from neuroscaling.encoding.settings import EncodingSettings
from neuroscaling.planning.brainscore_memory import MANY_NEUROIDS, kernel_mb
from neuroscaling.planning.encoding import SubjectShape, count_stimuli, fits_of
from neuroscaling.planning.encoding_costs import COSTS, JOB_START, Mapping, metric_cost
from neuroscaling.study.brainscore_jobs import brainscore_jobs
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.sections.encoding import AlgonautsEncoding

STUDY = """study: one
store: {store}
runs: [{{untrained: [resnet_w8, vit_w32]}}]
reduction: {{kind: max, size: 2}}
simulated:
  two: {{algonauts_subjects: 2, algonauts_train: 300, algonauts_test: 60, vertices: 30, stimuli: 100}}
encoding:
  - {{source: algonauts2023, data: {{simulated: two}}, samples: [20, all], metrics: [{metrics}]}}
brainscore:
  data: {{simulated: two}}
  benchmarks: [MajajHong2015public.IT-pls, Rajalingham2018public-i2n]
  samples: {samples}
  mem_mb: 5000
"""


def mapping(training=300, widths=(64, 1024, 4096), **values):
    """Of one subject, with 60 test images and 100 targets."""
    entry = AlgonautsEncoding.model_validate({"source": "algonauts2023", "data": {"local": "x"}} | values)
    shape = SubjectShape(training, 60, 100)
    return Mapping(widths, shape, fits_of(entry, "corrected", shape), EncodingSettings.of(entry, "corrected"))


def study(folder, metrics="ridge", samples="[all]"):
    folder.mkdir(exist_ok=True)
    path = folder / "one.yaml"
    path.write_text(STUDY.format(store=folder / "store", metrics=metrics, samples=samples))
    return load_study(path, planning=True)


def test_every_metric_has_a_cost():
    assert set(COSTS) == set(METRICS)


@pytest.mark.parametrize("metric", METRICS)
def test_more_images_layers_targets_and_sizes_cost_more(metric):
    usual = mapping()
    shape = replace(usual.shape, targets=1000)
    larger = [mapping(training=900), mapping(widths=(64, 1024, 4096, 4096)), mapping(samples=[100, "all"])]
    seconds = metric_cost(metric, usual).seconds
    assert all(metric_cost(metric, other).seconds > seconds for other in larger)
    many, few = (metric_cost(metric, one) for one in (replace(usual, shape=shape), usual))
    assert many.seconds >= few.seconds and many.stored > few.stored
    assert metric_cost(metric, mapping(training=9000)).memory_mb > metric_cost(metric, usual).memory_mb


def test_metrics_stand_in_the_order_of_their_work():
    seconds = {metric: metric_cost(metric, mapping()).seconds for metric in METRICS}
    order = ["banded", "stacking", "ridge", "rsa", "cka"]
    assert all(seconds[more] > seconds[less] for more, less in pairwise(order)), seconds


def test_ridge_alone_has_the_predictions_of_a_submission():
    sent, kept = mapping(submissions={"a": {}}), mapping()
    more = metric_cost("ridge", sent).stored - metric_cost("ridge", kept).stored
    assert more == 4 * 60 * 100 and metric_cost("cka", sent).stored == metric_cost("cka", kept).stored


def test_a_metric_more_raises_the_hours_of_the_plan(tmp_path):
    one, two = (encoding_rows(study(tmp_path, metrics)) for metrics in ("ridge", "ridge, banded"))
    assert [row["metric"] for row in two] == ["ridge", "banded", "start of jobs", "all"]
    assert one[0] == two[0] and two[-1]["cpu_hours"] > one[-1]["cpu_hours"]
    assert two[-1]["cpu_hours"] == pytest.approx(sum(row["cpu_hours"] for row in two[:-1]), rel=0.02)
    assert two[-2]["cpu_hours"] == pytest.approx(2 * 2 * JOB_START / 3600, rel=0.01)
    assert two[-1]["memory_mb"] == max(row["memory_mb"] for row in two[:2])


def test_each_benchmark_tells_the_memory_of_both_engines(tmp_path):
    own = study(tmp_path)
    neural, behaviour = brainscore_rows(own)
    n, widest = neural["stimuli"], neural["widest_layer"]
    assert n == count_stimuli(own, brainscore_jobs(own)[0].stimuli) and neural["mem_mb"] == 5000
    assert neural["kernel_mb"] == kernel_mb(own, n, widest)
    assert neural["stock_mb"] == estimate_mb(n, widest, MANY_NEUROIDS, "stock", ("features",))
    assert behaviour["kernel_mb"] == behaviour["stock_mb"] < neural["stock_mb"]


def test_the_kernel_engine_is_estimated_at_the_numbers_of_mapping_images(tmp_path):
    all_images, few = study(tmp_path / "all"), study(tmp_path / "few", samples="[10, all]")
    assert kernel_mb(few, 3200, 1000) > kernel_mb(all_images, 3200, 1000)
    assert kernel_mb(few, 3200, 100_000) < estimate_mb(3200, 100_000, MANY_NEUROIDS, "stock", ("features",))
