"""What a study's checkpoints take is planned from their table: bytes that pass through, bytes that stay, operations."""

import json

import pytest

from neuroscaling.cli.main import main
from neuroscaling.cli.plan_checkpoints import checkpoint_rows
from neuroscaling.cli.plan_extraction import SUMMED, extraction_rows
from neuroscaling.planning.checkpoint_files import fetched_bytes
from neuroscaling.planning.extraction_time import DECODED, WRITTEN, extraction_cost, start_seconds
from neuroscaling.planning.training_throughput import EXACT_SHARE, Speeds, TrainingRate, stated_forward, stated_speed
from neuroscaling.planning.workload import cost_of, definition_of
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.run_table import expand_runs
from neuroscaling.study.sections.networks import DOUBLE, SINGLE
from neuroscaling.study.sections.whole_study import Study

HEADER = "id,arch,url,path,n_bytes,ema,dataset"
ROWS = (
    "a,resnet_w8,https://example.org/a.pt,,5000000,,imagenet",
    "b,resnet_w8,https://example.org/b.pt,,,,imagenet",
    "c,vit_w16,https://example.org/c.pt,,,true,ecoset",
    "d,vit_w16,,d.pt,,,ecoset",
)
GIGA = 1e9


def study_file(folder, *groups):
    (folder / "table.csv").write_text("\n".join((HEADER, *ROWS)) + "\n", encoding="utf-8")
    (folder / "d.pt").write_bytes(b"weights")
    content = {"study": "a", "store": str(folder / "store"), "runs": list(groups)}
    (folder / "a.yaml").write_text(json.dumps(content), encoding="utf-8")
    return folder / "a.yaml"


def test_files_are_as_large_as_the_table_says_or_as_trainers_write_them(tmp_path):
    study = load_study(study_file(tmp_path, {"checkpoints": str(tmp_path / "table.csv")}), planning=True)
    found = {run.checkpoint.id: fetched_bytes(run.checkpoint, 1000) for run in study.runs.values()}
    assert found == {"a": (5_000_000, True), "b": (8000, False), "c": (16_000, False), "d": (0, True)}


def test_the_rows_of_families_tell_what_passes_through_and_what_stays(tmp_path):
    path = study_file(tmp_path, {"checkpoints": str(tmp_path / "table.csv")})
    resnet, vit, total = checkpoint_rows(load_study(path, planning=True))
    small, token = cost_of("resnet_w8"), cost_of("vit_w16")
    assert [(row["objective"], row["family"]) for row in (resnet, vit)] == [
        ("supervised", "ResNet"),
        ("supervised", "ViT"),
    ]
    assert (resnet["runs"], resnet["downloads"], resnet["sizes"]) == (2, 2, "table has 1 of 2")
    assert (vit["runs"], vit["downloads"], vit["sizes"]) == (2, 1, "estimated")
    fetched = (5e6 + 8 * small.n_params, 16 * token.n_params)
    assert [row["fetched_gb"] * GIGA for row in (resnet, vit)] == pytest.approx(fetched, rel=0.01)
    assert total["fetched_gb"] * GIGA == pytest.approx(sum(fetched), rel=0.01)
    assert total["largest_gb"] * GIGA == pytest.approx(5e6, rel=0.01)
    assert resnet["weights_gb"] * GIGA == pytest.approx(2 * 4 * small.n_params, rel=0.01)
    assert vit["image_flops"] == pytest.approx(2 * 2 * token.macs, rel=0.01)
    freed = study_file(tmp_path, {"checkpoints": str(tmp_path / "table.csv"), "keep": False})
    assert {row["weights_gb"] for row in checkpoint_rows(load_study(freed, planning=True))} == {0}


def test_the_size_of_a_file_is_in_no_name(tmp_path):
    names = []
    for size in ("", "5", "7"):
        (tmp_path / "t.csv").write_text(f"id,arch,url,n_bytes\na,resnet_w8,https://example.org/a,{size}\n")
        (run,) = expand_runs(
            Study.model_validate({"study": "a", "runs": [{"checkpoints": str(tmp_path / "t.csv")}]}), {}
        )
        names.append(run.run)
    assert len(set(names)) == 1


def test_the_command_has_a_stage_of_checkpoints_where_there_are_some(tmp_path, capsys):
    path = study_file(tmp_path, {"checkpoints": str(tmp_path / "table.csv")}, {"untrained": ["resnet_w8"]})
    assert main(["plan", str(path), "--stage", "checkpoints", "--by", "dataset", "--format", "json"]) == 0
    out, error = capsys.readouterr()
    assert [(row["dataset"], row["runs"]) for row in json.loads(out)] == [("ecoset", 2), ("imagenet", 2), ("all", 4)]
    assert "16 where averaged weights" in error
    assert main(["plan", str(path), "--format", "json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["checkpoints", "extraction", "jobs", "submissions"]


def layer(features, number=0, gram=0):
    kept = 0 if gram else 4 * 1000 * features
    return {"layer": "a", "features": features, "bytes": kept, "gram_bytes": gram, "pass": number,
            "scratch_bytes": 4 * 1000 * features - kept}  # fmt: skip


def test_an_extraction_takes_as_long_as_the_slower_of_network_and_disk_in_each_pass():
    slow = extraction_cost([layer(100)], 1000, 10.0, 7, "zstd", "a100")
    assert (slow.seconds, slow.written, slow.read) == (100.0, 400_000, 7)
    fast = extraction_cost([layer(10**6)], 1000, 1e9, 7, "zstd", "a100")
    assert fast.seconds == pytest.approx(1000 / DECODED + 4e9 / WRITTEN["zstd"])
    twice = extraction_cost([layer(100, 0), layer(100, 1)], 1000, 10.0, 7, "zstd", "a100")
    assert twice.seconds == 200.0 and twice.written == 2 * slow.written
    products = extraction_cost([layer(100, gram=8_008_000)], 1000, 10.0, 7, "zstd", "a100")
    assert products.seconds > slow.seconds and (products.written, products.read) == (8_408_000, 400_007)
    weak = extraction_cost([layer(10**6, gram=8_008_000)], 1000, 1e9, 7, "none", "rtx3090")
    assert weak.seconds > 2e6 * 1e6 / DOUBLE["rtx3090"]


def test_single_precision_is_slower_and_a_calibrated_network_is_as_fast_as_it_was():
    macs = cost_of("resnet50").macs
    exact, mixed = (stated_forward("a100", "ResNet", macs, 224, autocast) for autocast in ("none", "bf16"))
    assert mixed == stated_speed("a100", "ResNet", macs, 224).evaluate
    assert exact == pytest.approx(EXACT_SHARE * SINGLE["a100"] / (2 * macs)) and exact < mixed / 2
    (run,) = expand_runs(Study.model_validate({"study": "a", "runs": [{"untrained": ["resnet50"]}]}), {})
    facts = {"device": "a", "arch": "resnet50", "definition": definition_of("resnet50"), "torch": "2"}
    rate = TrainingRate(**facts, precision="fp32", batch=8, train=10.0, evaluate=77.0, compiled=False)
    speeds = Speeds("a100", {(rate.definition, "fp32"): rate})
    assert speeds.forward(run, macs, "none") == 77.0 and speeds.forward(run, macs, "bf16") == mixed


def test_every_network_of_a_study_has_hours_of_extraction_before_its_stimuli_are_here(tmp_path, capsys):
    path = study_file(tmp_path, {"checkpoints": str(tmp_path / "table.csv")}, {"untrained": ["resnet_w8"]})
    content = json.loads(path.read_text())
    names = ["MajajHong2015public.IT-pls", "FreemanZiemba2013public.V1-pls", "Rajalingham2018public-i2n"]
    content |= {"brainscore": {"data": {"download": True}, "benchmarks": names}, "extraction": {"keep": "gram"}}
    path.write_text(json.dumps(content))
    study = load_study(path, planning=True)
    *rows, total = extraction_rows(study, Speeds("a100"), "family")
    assert {row["stimuli"] for row in rows} == {3200, 135, 2160} and total["networks"] == 5
    assert {row["family"]: row["networks"] for row in rows} == {"ResNet": 3, "ViT": 2}
    for key in SUMMED:
        assert total[key] == pytest.approx(sum(row[key] for row in rows), rel=0.02)
    assert total["hours"] > 5 * 3 * start_seconds(1) / 3600
    assert main(["plan", str(path), "--stage", "extraction", "--gpu", "h100"]) == 0
    out, error = capsys.readouterr()
    assert "hours" in out.splitlines()[0] and "an H100 in single precision" in error
