"""A table of one's own as docs/score-tables.md prints it: to the report, again, and after each change."""

import re
import shutil
from collections import Counter

import numpy as np
import pytest
import yaml

from neuroscaling.cli.main import main
from neuroscaling.core.files import read_json
from tests.support.doc_blocks import ROOT, blocks
from tests.workflow.conftest import Workdir, make_workdir

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
TABLE, STUDY, FITS, COMMANDS = blocks(ROOT / "docs/score-tables.md")[:4]


def write_rows(path):
    """Losses MADE BY A LAW, under the header that the page prints."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(10, 3000, 16)
    loss = (2 + 30 * (sizes * 1e6) ** -0.2) * np.exp(0.002 * rng.standard_normal(16))
    rows = [f"m{i},{n:.3f},{'abcdefgh'[i % 8]},{y:.4f}" for i, (n, y) in enumerate(zip(sizes, loss, strict=True))]
    path.write_text("\n".join([TABLE.text.splitlines()[0], *rows, ""]))


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Workdir:
    """The example of the page, run to its report."""
    workdir = make_workdir(tmp_path_factory.mktemp("own_table") / "finished")
    (workdir.path / "mine.yaml").write_text(STUDY.text)
    fits = yaml.safe_load(FITS.text)
    (workdir.path / "fits.yaml").write_text(yaml.safe_dump({"fits": [fits["fits"][0] | {"bootstraps": 50}]}))
    write_rows(workdir.path / "table.csv")
    assert any(word.endswith("mine.yaml") for word in COMMANDS.commands[0])
    (workdir.path / "note.sh").write_text("#!/bin/sh\ncat >>told.txt\n")
    (workdir.path / "note.sh").chmod(0o755)
    workdir.snakemake(study="mine.yaml", config=["notify=./note.sh"])
    return workdir


def test_the_law_is_one_of_the_loss_and_predicts(done, monkeypatch, capsys):
    law = read_json(done.path / "results/mine/fits/size.json")
    assert law["status"] == "fitted" and law["n"] == 16 and law["params"]["alpha"] == pytest.approx(0.2, abs=0.05)
    page = (done.path / "results/mine/report/index.html").read_text()
    assert "y = E + A x^-alpha" in page and "loss for infinite x" in page and "16 models" in page
    assert "Loss against parameters" in page and "brain or behaviour" not in page
    monkeypatch.chdir(done.path)
    assert main(COMMANDS.commands[1][1:]) == 0
    assert "loss of this run" in capsys.readouterr().out


def test_what_runs_when_the_table_is_touched_moved_or_changed(done, tmp_path):
    assert done.planned("mine.yaml") == Counter()
    shutil.copy(done.path / "table.csv", tmp_path / "table.csv")  # another place and date, the same content
    text = STUDY.text.replace("table.csv", str(tmp_path / "table.csv"))
    (done.path / "moved.yaml").write_text(text)
    assert done.planned("moved.yaml") == Counter()
    with (tmp_path / "table.csv").open("a") as file:
        file.write("one more,5000,a,2.3\n")
    assert done.planned("moved.yaml") == Counter(own_table=1, fits=1, fit=1, resolution=1, report=1, all=1)


def test_plain_snakemake_tells_a_command_of_the_end_and_of_the_first_failure(done):
    told, report = done.path / "told.txt", done.path / "results/mine/report/index.html"
    text = told.read_text()
    assert re.fullmatch(rf"mine: \d+ jobs done in .+\nThe report: {re.escape(str(report))}\n", text), text
    # A folder lies where the fits look for the table.
    (done.path / "results/broken/scores.parquet/full").mkdir(parents=True)
    (done.path / "broken.yaml").write_text(STUDY.text.replace("study: mine", "study: broken"))
    start = done.snakemake("--until", "fits", check=False, study="broken.yaml", config=["notify=./note.sh"])
    assert start.returncode == 1, start.stdout[-3000:]
    first, end = told.read_text().removeprefix(text).split("broken: ")[1:]
    assert first.startswith("the first failure. The rest goes on.\n  fits: IsADirectoryError")
    assert re.match(r"\d+ jobs? done in .+, 1 failed\n  fits: IsADirectoryError", end), end
    assert "There is no report yet." in end


def test_faults_are_told_before_the_first_job(done):
    (done.path / "faulty.csv").write_text((done.path / "table.csv").read_text() + "last,much,a,inf\n")
    (done.path / "faulty.yaml").write_text(STUDY.text.replace("table.csv", "faulty.csv").replace("mine", "faulty"))
    process = done.snakemake(check=False, study="faulty.yaml")
    assert process.returncode != 0 and "line 18: 'much'" in process.stdout and "line 18: 'inf'" in process.stdout
    assert not (done.path / "results/faulty/scores.parquet").exists()
