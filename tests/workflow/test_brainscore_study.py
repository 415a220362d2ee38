"""The five Brain-Score benchmarks from a folder of simulated recordings: three stimulus sets, Grams, nested layers."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from neuroscaling.simulate.brain import simulate_brain
from neuroscaling.study.recording_jobs import BrainJob
from neuroscaling.study.sections.simulated_brains import SIMULATED_BENCHMARKS, BrainSettings
from tests.workflow.conftest import Workdir, make_workdir, run, told_here

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
BRAIN = {
    "stimuli": 100,
    "neuroids_per_region": 4,
    "repetitions": 2,
    "algonauts_subjects": 1,
    "algonauts_train": 20,
    "algonauts_test": 10,
    "vertices": 30,
}
STUDY = {
    "study": "five",
    "runs": [{"untrained": ["resnet_w8"], "seeds": [0]}],
    "extraction": {"keep": "gram", "slices": 2},
    "brainscore": {
        "data": {"local": "recordings/brainscore"},
        "benchmarks": list(SIMULATED_BENCHMARKS),
        "layers": {"choose": "nested", "inner_splits": 1},
    },
}
# The folder of the clone, the study, the store, the recordings and the interpreter.
AWKWARD = "My Drive - lab/$(touch pwned) `touch pwned` 'q' \"d\" & ü; # *"
LAYERS = {"layer1.0", "layer2.0", "layer3.0", "layer4.0"}


@pytest.fixture(scope="module")
def five(tmp_path_factory, brainscore_python):
    """The study, run to its report."""
    workdir = make_workdir(tmp_path_factory.mktemp("five") / AWKWARD)
    (workdir.path / "python").symlink_to(Path(sys.prefix))
    workdir = Workdir(workdir.path, workdir.path / "python" / "bin" / "python")
    simulate_brain(BrainJob(workdir.path / "recordings", BrainSettings(**BRAIN)))
    workdir.write_study(STUDY, "five.yaml")
    workdir.snakemake(study="five.yaml")
    return workdir


def rewritten(workdir, **brainscore):
    workdir.write_study(STUDY | {"brainscore": STUDY["brainscore"] | brainscore}, "five.yaml")
    return workdir


def test_no_shell_reads_the_paths(five):
    assert not list(five.path.parents[1].rglob("pwned")) and (five.path / "results/five/report/index.html").is_file()


def scores(workdir) -> dict[str, dict]:
    """Score files by benchmark, which their folders are named after."""
    files = sorted(workdir.path.glob("store/scores/*/*.json"))
    return {file.parent.name.rpartition("-")[0]: json.loads(file.read_text()) for file in files}


def test_every_benchmark_is_scored_by_the_kernel_engine_on_layers_chosen_for_each_split(five):
    found = scores(five)
    assert set(found) == set(SIMULATED_BENCHMARKS)
    for name, content in found.items():
        row = content["rows"][0]
        assert content["engine"] == "kernel" and row["score"] is not None and 0 < row["ceiling"] <= 1
        if not name.startswith("Rajalingham"):
            assert len(content["splits"]) == 10 and set(row.get("layers") or [row["layer"]]) <= LAYERS
    commitments = [json.loads(path.read_text()) for path in five.path.glob("store/commitments/*/*.json")]
    assert {own["benchmark"] for own in commitments} == {
        n for n in SIMULATED_BENCHMARKS if not n.startswith("Rajalingham")
    }
    assert all(len(own["layers"]) == 10 and own["way"] == "nested" for own in commitments)
    for own in commitments:
        row = found[own["benchmark"]]["rows"][0]
        assert (row.get("layers") or [row["layer"]] * 10) == own["layers"]


def test_only_the_readout_keeps_its_features(five):
    manifests = [json.loads(path.read_text()) for path in five.path.glob("store/activations/*/*.json")]
    assert len(manifests) == 3  # V4 and IT share a stimulus set, and so do V1 and V2
    for manifest in manifests:
        kept = {layer["name"]: layer["kept"] for layer in manifest["layers"]}
        assert {name for name, what in kept.items() if "features" in what} == {"global_pool"}
        assert all(kept[layer] == ["gram"] for layer in LAYERS)


def test_there_is_nothing_to_do_a_second_time(five):
    assert five.planned("five.yaml") == Counter()


def test_what_needs_features_is_told_before_anything_runs(five):
    try:
        failed = rewritten(five, engine="stock").snakemake(study="five.yaml", check=False)
        assert failed.returncode and "needs features, and only inner products are kept" in failed.stdout
        assert "brainscore.engine: stock" in failed.stdout and "keep: both" in failed.stdout
        assert scores(five)[SIMULATED_BENCHMARKS[0]]["engine"] == "kernel"  # what was there is still there
    finally:
        rewritten(five)


def test_fewer_benchmarks_choose_and_score_nothing_anew(five):
    try:
        plan = rewritten(five, benchmarks=list(SIMULATED_BENCHMARKS[1:])).planned("five.yaml")
        assert not {"train", "activations", "stimuli"} & plan.keys()
    finally:
        rewritten(five)


def test_the_audit_prints_both_engines_and_their_difference(five):
    scored = next(five.path.glob("store/scores/*/*.json")).stem
    command = [
        sys.executable,
        "-m",
        "neuroscaling.cli.main",
        "audit",
        scored,
        SIMULATED_BENCHMARKS[3],
        "--study",
        "five.yaml",
    ]
    done = run([*command, "--format", "json"], five.path, check=True)
    rows = json.loads(done.stdout[done.stdout.index("[") :])
    assert [row["engine"] for row in rows] == ["kernel", "stock"]
    assert rows[1]["difference"] < 1e-9 and rows[1]["features"].startswith("surrogate")
    wrong = run([*command[:-3], "MajajHong2015public.IT-plz", *command[-2:]], five.path, check=False)
    assert wrong.returncode == 1 and f"nearest:  {SIMULATED_BENCHMARKS[3]}" in wrong.stdout


def test_the_plan_counts_bytes_beforehand(five):
    stages = json.loads(told_here(five.path, "plan", "five.yaml", "--format", "json"))
    rows = stages["extraction"]
    assert [row["stimuli"] for row in rows] == [100, 100, 50, None]
    written = sum(
        int(array["shape"][0] * array["shape"][0] * 8 + array["shape"][0] * 8)
        for path in five.path.glob("store/activations/*/*.json")
        for array in json.loads(path.read_text())["layers"]
    )
    assert rows[-1]["gram_gb"] == pytest.approx(written / 1e9, abs=2e-3)
