"""`neuroscaling status` and `retry` as a user calls them: tables, lists, the page, wrong input, exit status."""

import csv
import io
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from neuroscaling.cli import run, status
from neuroscaling.cli.main import main
from neuroscaling.core.leases import held
from tests.support.campaign import STUDY, campaign, half_done

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    before, folder = Path.cwd(), tmp_path_factory.mktemp("status")
    os.chdir(folder)
    try:
        with half_done() as made:
            yield made
    finally:
        os.chdir(before)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return campaign()


def told(capsys, *arguments):
    code = main([*arguments[:1], "half.yaml", *arguments[1:]])
    return (code, *capsys.readouterr())


def test_the_table_is_followed_by_what_runs_what_failed_and_the_outlook(half, capsys):
    code, out, _ = told(capsys, "status")
    assert code == 1
    assert re.search(r"^train +8 +2 +1 +1 +3 +3 ", out, re.M) and "waiting" not in out.splitlines()[0]
    assert "epoch 3 of 10, step 30 of 100, loss 2.345, accuracy 0.41, 850 images/s (30 %); 2 h 20 min left" in out
    assert "made by others, and waited for" in out and "by bert" in out
    assert f"{half.runs[3]}: images are damaged: digits (2 tries)\n    log: logs/train/{half.runs[3]}.log" in out
    # What is made here takes time meanwhile.
    assert 2.08 <= float(re.search(r"^GPU-hours: ([\d.]+), all tries", out, re.M)[1]) < 2.5
    assert "train: done in about" in out and "scores, report have no rate yet" in out


def test_hours_on_cpus_are_told_as_such_and_held_against_no_plan_of_a_gpu(fresh, capsys):
    for name in fresh.runs[:2]:
        fresh.done(name, seconds=5400, device="cpu")
    code, out, _ = told(capsys, "status", "--html", "now.html")
    assert code == 3 and "GPU" not in out and "planned" not in out
    assert re.search(r"^CPU-hours: 3, all tries counted$", out, re.M)
    assert re.search(r"^  supervised ResNet +2 done, 3 CPU-hours$", out, re.M)
    page = re.sub(r"<[^>]+>", " ", Path("now.html").read_text())
    assert re.search(r"CPU-hours +3 ", page) and "GPU" not in page and "planned" not in page.split("Stages")[0]
    content = json.loads(told(capsys, "status", "--format", "json")[1])
    assert (content["gpu_hours"], content["cpu_hours"], content["planned_hours"]) == (0, 3, None)
    assert content["finished"][0]["forecast_hours"] is None and content["stages"][0]["planned_hours"] is None


def test_other_forms_and_filters(half, capsys):
    content = json.loads(told(capsys, "status", "--format", "json")[1])
    assert content["study"] == "half" and content["running"][0]["progress"]["epoch"] == 3
    assert [one["tries"] for one in content["failed"]] == [0, 2, 1] and content["stages"][0]["done"] == 2
    rows = list(csv.DictReader(io.StringIO(told(capsys, "status", "--format", "csv", "--stage", "train")[1])))
    assert [(row["stage"], row["failed"]) for row in rows] == [("train", "3")]
    failed = told(capsys, "status", "--failed", "--format", "markdown")[1]
    assert failed.count("| train |") == 3
    code, _, error = told(capsys, "status", "--stage", "trian")
    assert code == 1 and "nearest:  train" in error
    code, _, error = told(capsys, "status", "--watch", "0")
    assert code == 1 and "looks too often" in error
    code, _, error = told(capsys, "status", "--why", "--failed")
    assert code == 1 and "says nothing with --why" in error


def test_the_page_holds_the_same_in_one_file_and_refreshes_itself_while_it_is_watched(half, capsys, monkeypatch):
    assert told(capsys, "status", "--html", "pages/now.html")[0] == 1
    page = Path("pages/now.html").read_text()
    assert "Half a campaign" in page and "images are damaged: digits" in page and "node7, Slurm job 17" in page
    assert "http-equiv" not in page and "<script" not in page and "src=" not in page and "url(" not in page
    looks = []

    def pause(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=pause))
    code, out, _ = told(capsys, "status", "--html", "pages/now.html", "--watch", "7")
    assert code == 130 and looks == [7, 7] and out.count("stage ") == 2
    assert '<meta http-equiv="refresh" content="7">' in Path("pages/now.html").read_text()
    assert [path.name for path in Path("pages").iterdir()] == ["now.html"]


def test_a_study_that_is_not_done_has_a_status_of_its_own(fresh, capsys):
    code, out, _ = told(capsys, "status")
    assert code == 3 and "can't be told" in out and "GPU-hours: 0" in out
    with pytest.raises(SystemExit) as wrong:
        main(["status", "half.yaml", "--stagee", "x"])
    assert wrong.value.code == 2


def test_retry_says_what_it_would_do_and_changes_nothing_on_a_dry_run(half, capsys):
    before = half.dates()
    code, _, said = told(capsys, "retry", "-n")
    assert code == 0 and "3 things that failed would be tried again" in said and half.runs[2] in said
    code, _, said = told(capsys, "retry", "-n", half.runs[3][:12] + "*s1*")
    assert "1 thing that failed" in said
    code, _, error = told(capsys, "retry", "-n", half.runs[0])
    assert code == 1 and "this run did not fail" in error
    assert half.dates() == before


def test_retry_makes_a_run_wanted_that_was_given_up_and_no_other_and_starts_the_study(fresh, capsys, monkeypatch):
    first, second, third = fresh.runs[:3]
    for name in (first, second):
        fresh.given_up(name)
    fresh.done(third)
    started = []
    monkeypatch.setattr("neuroscaling.cli.retry.run_study", lambda options: started.append(options.cores) or 7)
    code, _, said = told(capsys, "retry", first, "--cores", "2")
    assert (code, started) == (7, ["2"]) and "will be tried again" in said
    assert not (fresh.folder(first) / "run.json").exists() and (fresh.folder(first) / "failed.json").is_file()
    assert (fresh.folder(second) / "run.json").is_file() and (fresh.folder(third) / "run.json").is_file()
    with held(fresh.folder(second), "the run"):
        code, _, said = told(capsys, "retry", second)
    assert f"{second}: left as it is" in said and (fresh.folder(second) / "run.json").is_file()
    # A driver at work planned without it.
    locks = Path(".snakemake/locks")
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    code, _, said = told(capsys, "retry")
    assert code == 0 and "made by the next start" in said and not (fresh.folder(second) / "run.json").exists()
    assert len(started) == 2


def test_nothing_failed_nothing_is_tried(fresh, capsys):
    assert told(capsys, "retry")[2].strip() == "Nothing failed."
    with pytest.raises(SystemExit):
        main(["retry", "half.yaml", "--until", "train"])


def test_a_start_is_summed_up_though_its_files_were_edited_meanwhile(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = yaml.safe_load((ROOT / "config/recipes/digits.yaml").read_text())
    Path("brief.yaml").write_text(yaml.safe_dump(recipe | {"name": "brief"}))
    campaign(runs=[{**STUDY["runs"][0], "recipe": "brief.yaml"}])

    def start(command):
        Path(".snakemake/log").mkdir(parents=True)
        Path(".snakemake/log/1.snakemake.log").write_text("Job stats:\nFinished jobid: 1 (Rule: train)\n")
        for name in ("brief.yaml", "half.yaml"):
            Path(name).write_text("edited while a start runs")
        return 0

    monkeypatch.setattr(run, "supervised", start)
    code, _, said = told(capsys, "run", "--cores", "1")
    assert code == 0 and "half: 1 job done" in said and "Left: 8 of train" in said
