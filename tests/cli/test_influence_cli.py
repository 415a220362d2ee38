"""`neuroscaling influence` prints what finished fits stand on."""

import json

import pytest

from neuroscaling.cli.main import main
from neuroscaling.core.files import write_json
from neuroscaling.forecast.targets_and_budgets import Estimate
from neuroscaling.laws.influence import influence_content
from neuroscaling.laws.influence_record import Quantity
from tests.report.test_report_influence import GROUPS, record


@pytest.fixture
def folder(tmp_path):
    for name in ("one", "two"):
        write_json(tmp_path / f"{name}.influence.json", influence_content(record(GROUPS, name=name)))
    return tmp_path


def test_a_row_a_fit(folder, capsys):
    assert main(["influence", str(folder), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["fit"] for row in rows] == ["one", "two"]
    assert rows[0]["carried by"] == "ViT, seed 1" and rows[0]["stands"] == "no" and rows[0]["groups"] == 3


def test_a_row_a_group_of_one_fit(folder, capsys):
    assert main(["influence", str(folder / "one.json"), "--groups", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["without"] for row in rows] == ["ResNet", "ViT", "seed 1"]
    assert rows[0]["asymptote"] == 0.52 and rows[0]["alpha low"] is None and rows[2]["asymptote"] is None
    assert main(["influence", str(folder), "--groups"]) != 0
    assert "one fit at a time" in capsys.readouterr().err


def test_people_read_words_where_a_number_tells_nothing(tmp_path, capsys):
    wild = GROUPS[0].model_copy(update={"quantities": {"asymptote": Quantity(value=1e159, low=1e-40, high=1e200)}})
    write_json(tmp_path / "one.influence.json", influence_content(record([wild])))
    assert main(["influence", str(tmp_path), "--groups"]) == 0
    told = capsys.readouterr().out
    assert "above 1000" in told and "about 0" in told and "e+" not in told
    assert str(Estimate(1e241, 1e12, 1e300)) == "above 1.00e30 (1e+12 to above 1.00e30)"


def test_a_table_in_markdown(folder, capsys):
    assert main(["influence", str(folder), "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| fit | judged by |") and len(lines) == 4
    assert {line.count(" | ") for line in lines} == {lines[0].count(" | ")}


def test_fits_without_a_record_are_named(tmp_path, capsys):
    assert main(["influence", str(tmp_path)]) != 0
    assert main(["influence", str(tmp_path / "fit.json")]) != 0
    assert "fit.influence.json" in capsys.readouterr().err
