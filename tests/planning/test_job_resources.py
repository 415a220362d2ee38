"""What jobs ask for follows from networks, batches and stimuli, and from what the store recorded of like runs."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuroscaling.encoding import metric_combined, metric_pls, metric_similarity
from neuroscaling.planning import encoding_costs, stored_trainings
from neuroscaling.planning.encoding import CHALLENGE, SubjectShape
from neuroscaling.planning.extraction import planned_layers
from neuroscaling.planning.job_resources import LEAST_MB, UNKNOWN_MB, Asked, JobResources
from neuroscaling.planning.network_shapes import NetworkShape, counted_shape, note_shapes, shape_of
from neuroscaling.planning.workload import listed_row
from neuroscaling.study.extraction_job import FeatureSpec
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.extraction import Reduction
from neuroscaling.study.wanted import Targets

ROOT = Path(__file__).parents[2]
ENORMOUS = "eva02_enormous_patch14_clip_224.laion2b_plus"
WEIGHTS_MB = 17_402
"""Of 4.35 billion parameters in single precision."""


def asked(folder: Path, runs: list[dict[str, Any]], **more: Any) -> Asked:
    """Of a study with a simulated brain of 100 training and 20 test images."""
    brain = {"algonauts_subjects": 1, "algonauts_train": 100, "algonauts_test": 20, "vertices": 40}
    content = {
        "study": "sizes",
        "store": str(folder / "store"),
        "datasets": {"digits": {"format": "digits"}},
        "runs": runs,
        "simulated": {"brain": brain},
        "encoding": [{"source": "algonauts2023", "data": {"simulated": "brain"}}],
    } | more
    path = folder / "sizes.yaml"
    path.write_text(yaml.safe_dump(content))
    return Asked(Targets(load_study(path, planning=True)))


def run_and_set(one: Asked, number: int = 0) -> tuple[Any, str]:
    """A run of the study, and its stimulus set."""
    return list(one.targets.study.runs.values())[number], next(iter(one.targets.sets))


def test_memory_follows_weights_and_batch(tmp_path):
    usual = asked(tmp_path, [{"pretrained": [ENORMOUS]}, {"untrained": ["resnet_w8", "vit_base", "vit_large"]}])
    runs = list(usual.targets.study.runs.values())
    made = [usual.making([run]) for run in runs]
    taken = [usual.extraction([(run.run, run_and_set(usual)[1])]) for run in runs]
    assert 2 * WEIGHTS_MB < made[0].mem_mb < 2.5 * WEIGHTS_MB and 2 * WEIGHTS_MB < taken[0].mem_mb < 3 * WEIGHTS_MB
    assert WEIGHTS_MB < taken[0].gpu_memory_mb < 1.5 * WEIGHTS_MB and taken[1].gpu_memory_mb == 0
    assert LEAST_MB <= taken[1].mem_mb < taken[2].mem_mb < taken[3].mem_mb < taken[0].mem_mb
    assert max(made[1].minutes, made[2].minutes) == 10 < made[0].minutes, "the untrained ones are made in seconds"
    (small,) = [asked(tmp_path, [{"untrained": ["vit_large"]}], extraction={"batch": 8})]
    assert small.extraction([(run_and_set(small)[0].run, run_and_set(small)[1])]).mem_mb < taken[3].mem_mb


def test_inner_products_and_several_runs_count(tmp_path):
    features = asked(tmp_path, [{"untrained": ["resnet_w8"], "seeds": [0, 1]}])
    runs, (_, stimuli) = list(features.targets.study.runs.values()), run_and_set(features)
    once, both = (features.extraction([(run.run, stimuli) for run in some]) for some in (runs[:1], runs))
    assert both.mem_mb == once.mem_mb and both.minutes >= once.minutes
    assert once.at(2).mem_mb == 2 * once.mem_mb and once.at(2).minutes == 2 * once.minutes
    gram = asked(tmp_path, [{"untrained": ["resnet_w8"]}], extraction={"keep": "gram"})
    run, stimuli = run_and_set(gram)
    gram.stimuli[stimuli] = 9360
    assert gram.extraction([(run.run, stimuli)]).mem_mb > once.mem_mb + 8 * 9360**2 / 1e6


def test_a_network_without_a_shape_asks_as_before_and_as_noted_once_it_was_looked_at(tmp_path):
    name = "resnet18@64"
    one = asked(tmp_path, [{"untrained": [name]}])
    run, stimuli = run_and_set(one)
    cache = one.targets.study.store.cache()
    assert listed_row(name) is None and shape_of(name, cache) is None
    assert (one.extraction([(run.run, stimuli)]).mem_mb, one.extraction([(run.run, stimuli)]).minutes) == (
        UNKNOWN_MB,
        70,
    )
    note_shapes([name], cache)
    again = asked(tmp_path, [{"untrained": [name]}])
    assert (
        again.extraction([(run.run, stimuli)]).mem_mb < UNKNOWN_MB
        and again.extraction([(run.run, stimuli)]).minutes == 10
    )


def test_what_was_recorded_of_like_runs_counts(tmp_path):
    one = asked(tmp_path, [{"untrained": ["resnet_w8"], "seeds": [0, 1, 2]}])
    (first, second, _), store = list(one.targets.study.runs.values()), one.targets.study.store
    _, stimuli = run_and_set(one)
    before, made_before = one.extraction([(first.run, stimuli)]), one.making([first])
    for path, seconds in (
        (store.run(second.run) / "run.json", 4000.0),
        (one.targets.activations(second, one.targets.sets[stimuli]), 1200.0),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"status": "done", "provenance": {"seconds": seconds, "peak_mb": 7000}}))
    after, made = one.extraction([(first.run, stimuli)]), one.making([first])
    assert before.minutes == made_before.minutes == 10 and before.mem_mb < 7000
    assert (after.mem_mb, made.mem_mb) == (8900, 8900)
    assert after.minutes == 60 and made.minutes == 180, "2.6 times a minute to start and what was recorded"


def test_a_training_is_scaled_to_its_images_and_states_count(tmp_path):
    digits = {"archs": ["resnet_w8"], "datasets": ["digits"], "recipe": "digits", "samples_per_class": [10, 40]}
    one = asked(tmp_path, [digits, digits | {"archs": ["vit_large"], "samples_per_class": [10]}])
    few, many, large = one.targets.study.runs.values()
    assert one.making([few]).minutes == one.making([many]).minutes == 600, "no GPU is named, and nothing recorded"
    record = one.targets.study.store.run(few.run) / "run.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"status": "done", "provenance": {"seconds": 900.0}}))
    assert one.making([many]).minutes == 160 and one.making([large]).minutes == 600
    assert one.making([large]).mem_mb > one.making([few]).mem_mb + 3000
    assert one.making([large]).gpu_memory_mb > 3 * one.making([few]).gpu_memory_mb > 0


def test_what_another_gpu_took_is_no_limit_where_the_study_names_its_own(tmp_path):
    digits = {"archs": ["resnet_w8"], "datasets": ["digits"], "recipe": "digits", "samples_per_class": [10, 20, 40]}
    one = asked(tmp_path, [digits], training={"gpu": "a100"})
    few, more, many = one.targets.study.runs.values()
    unknown = one.making([many]).minutes
    for run, made in (
        (few, {"gpu": "NVIDIA H100 80GB HBM3", "seconds": 900.0, "gpu_peak_mb": 30_000}),
        (more, {"gpu": "NVIDIA A100-SXM4-80GB", "seconds": 9000.0}),
    ):
        record = one.targets.study.store.run(run.run) / "run.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({"status": "done", "provenance": made}))
        found = asked(tmp_path, [digits], training={"gpu": "a100"}).making([many])
        assert found.gpu_memory_mb == 30_000, "memory counts on any"
        assert (found.minutes == unknown) == (run is few)


def of_another_study(one: Asked, run: Run, seconds: float, **made: Any) -> None:
    """Write what a finished run of another study states, in the store of `one`."""
    record = one.targets.study.store.run(run.run) / "run.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    provenance = {"device": "cuda", "gpu": "NVIDIA H100 80GB HBM3", "processes": 1, "seconds": seconds} | made
    seen = {"status": "done", "n_samples_seen": 1000, "definition": run.definition, "provenance": provenance}
    record.write_text(json.dumps(seen))


def test_other_studies_of_one_store_tell_how_long_an_image_takes(tmp_path):
    few = {"archs": ["resnet_w8"], "datasets": ["digits"], "recipe": "digits", "samples_per_class": [10]}
    other = asked(tmp_path, [few | {"seeds": [1, 2, 3]}])
    first, second, third = other.targets.study.runs.values()
    many = few | {"samples_per_class": [40]}
    ours = [many, many | {"archs": ["vit_large"]}, many | {"recipe": "digits_simclr"}]

    def limits(**training: Any) -> list[int]:
        one = asked(tmp_path, ours, training=training)
        return [one.making([run]).minutes for run in one.targets.study.runs.values()]

    assert limits() == [600] * 3, "no GPU is named, and nothing recorded"
    planned = limits(gpu="h100")
    of_another_study(other, first, 500.0)
    # 16 passes over 400 images of half a second each, and a minute for the start, 2.6 times, in steps of ten minutes.
    assert limits() == [150, 600, 600]
    assert limits(gpu="h100") == [150, *planned[1:]] and limits(gpu="a100")[0] < 150, "that of another GPU"
    of_another_study(other, second, 20.0)
    of_another_study(other, third, 500.0, processes=None)
    assert limits() == [150, 600, 600], "one tells of its start alone, one not how many processes it had"
    of_another_study(other, second, 700.0)
    of_another_study(other, third, 1000.0, device="cpu", gpu="")
    assert limits(gpu="h100")[0] == 170 and limits()[0] == 280, "the median; where no GPU is named that of the slowest"


def test_each_network_is_looked_up_once(tmp_path, monkeypatch):
    """A study of thousands of runs in a store of thousands."""
    group = {"archs": ["resnet_w8"], "datasets": ["digits"], "recipe": "digits", "samples_per_class": [10, 20, 40]}
    other = asked(tmp_path, [group | {"seeds": list(range(100, 120))}])
    for run in other.targets.study.runs.values():
        of_another_study(other, run, 500.0)
    one, read = asked(tmp_path, [group | {"seeds": list(range(20))}]), []
    unchecked = stored_trainings.unchecked_record
    monkeypatch.setattr(stored_trainings, "unchecked_record", lambda path: (read.append(path), unchecked(path))[1])
    for run in one.targets.study.runs.values():
        assert one.making([run]).minutes < 600
    assert len(set(read)) == len(read) <= 2 * stored_trainings.LOOKED_AT


@pytest.mark.parametrize("arch", ["resnet18", "vit_small_patch16_224", "tf_efficientnet_lite0"])
def test_the_table_has_what_is_counted_and_widths_are_no_less_than_those_of_the_store(arch):
    shape = NetworkShape.of_columns(listed_row(arch) or [])
    assert shape == counted_shape(arch) and NetworkShape.of_columns(shape.columns()) == shape
    for reduction in (Reduction(), Reduction(kind="grid", size=2), Reduction(kind="projection", components=100)):
        stored = [row["features"] for row in planned_layers(arch, FeatureSpec(reduction=reduction), 10)]
        widths = shape.widths(reduction)
        assert len(widths) == len(stored) and all(a >= b for a, b in zip(sorted(widths), sorted(stored), strict=True))
        assert sum(widths) <= 1.1 * sum(stored)
    assert sum(shape.widths(Reduction(), "all")) > sum(shape.widths(Reduction()))


def test_what_jobs_ask_for_is_found_without_torch():
    script = """
import sys, tempfile
from pathlib import Path
import yaml
from neuroscaling.planning.job_resources import Asked
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.wanted import Targets
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "one.yaml"
    brain = {"algonauts_subjects": 1, "algonauts_train": 100, "algonauts_test": 20, "vertices": 40}
    entry = {"source": "algonauts2023", "data": {"simulated": "b"}, "metrics": ["ridge", "pls", "rsa", "banded"]}
    path.write_text(yaml.safe_dump({"study": "one", "store": folder, "runs": [{"untrained": ["resnet18"]}],
                                    "simulated": {"b": brain}, "encoding": [entry]}))
    targets = Targets(load_study(path))
    one, (run,) = Asked(targets), targets.study.runs.values()
    found = [one.making([run]), one.extraction([(run.run, next(iter(targets.sets)))])]
    found.append(one.encoding([run], targets.names.subjects))
    assert all(each.mem_mb >= 2000 and each.minutes >= 10 for each in found), found
print([name for name in ("torch", "timm", "pandas", "scipy") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_numbers_of_the_metrics_are_those_of_the_metrics():
    own, stated = (
        (metric_combined.N_DRAWS, metric_pls.COPIES, metric_similarity.BLOCK, metric_similarity.GROUPS),
        (
            encoding_costs.N_DRAWS,
            encoding_costs.COPIES,
            encoding_costs.BLOCK,
            encoding_costs.GROUPS,
        ),
    )
    assert own == stated
    assert all(encoding_costs.n_components(n) == metric_pls.n_components(n) for n in (1, 2, 10, 74, 75, 900))


def test_the_networks_of_the_seed_study_ask_for_what_the_page_says(tmp_path):
    """Recordings are those of the challenge's first subject, as far as jobs look at them: their numbers."""
    content = yaml.safe_load((ROOT / "config/studies/algonauts2023.yaml").read_text())
    (group,), (entry,) = content["runs"], content["encoding"]
    # More images than the simulated brain has.
    large = {key: entry.pop(key) for key in ("equalise", "validation", "samples")}
    entry |= {"data": {"simulated": "brain"}, "validation": 10}
    kept = {key: content[key] for key in ("reduction", "extraction", "sets_per_job", "protocol")}
    one = asked(tmp_path, [{"pretrained": group["pretrained"]}], encoding=[entry], **kept)
    _, stimuli = run_and_set(one)
    (small,), shape = one.targets.names.subjects, SubjectShape(*CHALLENGE["subj01"])
    subject = replace(small, entry=small.entry.model_copy(update=large))
    one.stimuli[stimuli] = shape.training + shape.test
    one._subject_shapes[subject.data, subject.benchmark] = shape
    rows = [row.split("|")[1:-1] for row in (ROOT / "docs/plan.md").read_text().splitlines() if row.startswith("| `")]
    said = {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in rows if " GB, " in "".join(cells)}
    found = {}
    for run in one.targets.study.runs.values():
        weights = one.shape(run).weights
        made, extraction = one.making([run]), one.extraction([(run.run, stimuli)])
        encoding = one.encoding([run], [subject])
        assert 2 * weights < 1e6 * made.mem_mb < 1e6 * extraction.mem_mb and weights < 1e6 * extraction.gpu_memory_mb
        columns = [f"{weights / 1e9:.1f} GB", *map(_told, (made, extraction))]
        found[run.arch] = [*columns, f"{extraction.gpu_memory_mb / 1000:.1f} GB", _told(encoding)]
    assert found == said and max(found, key=lambda arch: float(found[arch][1].split()[0])) == ENORMOUS


def _told(asks: JobResources) -> str:
    """As the page says it."""
    time = f"{asks.minutes} min" if asks.minutes < 600 else f"{asks.minutes / 60:.0f} h"
    return f"{asks.mem_mb / 1000:.1f} GB, {time}"
