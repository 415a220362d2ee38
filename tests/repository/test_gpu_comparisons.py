"""perf/gpu.py without a GPU: its parts on torch's fake tensors, and what is kept of a part that is cut off."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

from neuroscaling.activations import networks
from neuroscaling.models import build
from neuroscaling.models.checkpoints import build_with
from neuroscaling.models.weights import save_weights
from neuroscaling.training import loop
from tests.support.fake_gpu import GPU, fake_gpu, real

# torch fakes neither sparse matrices (of `projection`) nor shapes that depend on numbers (of `ridge`).
FAKED = ("step", "gram", "extraction")
TELLS = "import time; print('ROW ' + '[1]', flush=True); print('ROW ' + '[2]', flush=True); "
PERF = Path(__file__).parents[2] / "perf"


@pytest.fixture(scope="module")
def gpu():
    """The script as a module."""
    sys.path.insert(0, str(PERF))
    yield importlib.import_module("gpu")
    sys.path.remove(str(PERF))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: no need for a fake one")
@pytest.mark.parametrize("part", FAKED)
def test_parts_run_to_their_end_on_fake_tensors_of_a_gpu(monkeypatch, gpu, part):
    for module in (gpu, sys.modules["train"], sys.modules["extract"]):
        monkeypatch.setattr(module, "build", real(build.build))
    monkeypatch.setattr(sys.modules["extract"], "save_weights", real(save_weights))
    monkeypatch.setattr(networks, "build_with", real(build_with))
    monkeypatch.setattr(networks, "company_problems", lambda *_: [])  # these two look at numbers
    monkeypatch.setattr(loop, "_ends_well", lambda training: True)
    with fake_gpu(monkeypatch, made_up=True):
        rows = list(gpu.PARTS[part](GPU, True))
    assert rows and all(set(row) == set(gpu.row("", 1, 1, 0)) for row in rows)


@pytest.mark.parametrize(("then", "why"), [("", ""), ("raise SystemExit(3)", "exit status 3")])
def test_rows_of_a_part_are_kept_though_it_fails(gpu, then, why):
    kept = []
    told = gpu.measure([sys.executable, "-c", TELLS + then], kept.append, 600)
    assert kept == [[1], [2]] and told == why


def test_rows_of_a_part_that_is_cut_off_are_kept(gpu):
    """After so many seconds that the machine has come to the rows."""
    kept, seconds = [], 0.75
    while len(kept) < 2 and seconds < 300:
        kept.clear()
        seconds *= 2
        told = gpu.measure([sys.executable, "-c", TELLS + "time.sleep(3600)"], kept.append, seconds)
        assert told == f"ended from outside, after {seconds:.0f} s at most"
    assert kept == [[1], [2]]


def test_rows_of_another_card_are_dropped(monkeypatch, tmp_path, gpu):
    common = sys.modules["common"]
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    for card, case in (("one", "a"), ("one", "b"), ("other", "c"), ("other", "d")):
        monkeypatch.setattr(common, "machine", lambda card=card: {"gpu": card})
        common.report("gpu", [common.row(case, 1, 2, 0)], keep=True, quiet=True)
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["machine"] == {"gpu": "other"} and [row["case"] for row in found["rows"]] == ["c", "d"]
    assert [path.name for path in tmp_path.iterdir()] == ["gpu.json"]


def test_without_a_gpu_the_command_says_how_to_try_it_out(monkeypatch, capsys, gpu):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit, match="2"):
        gpu.main()
    assert "--device cpu --quick" in capsys.readouterr().err
