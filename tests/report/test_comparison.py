"""Finished studies side by side: which laws are one question, shared networks, settings, faults. All is made up."""

import json
import re

import pytest

from neuroscaling.cli.main import main
from neuroscaling.core.errors import DataError
from neuroscaling.report import comparison
from neuroscaling.report.comparison_page import write_comparison
from tests.report.test_report import simulated_study
from tests.support.finished_studies import made_up_law, write_finished_study


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two studies of V1 and IT, of which the second has V4 too, other bootstraps and half of the first one's runs."""
    root, (table, _) = tmp_path_factory.mktemp("studies"), simulated_study()
    first = [made_up_law("compute.V1", 0.5, "V1"), made_up_law("compute.IT", 0.4, "IT")]
    # The same question under another name: V1 of an entry that is called otherwise.
    second = [made_up_law("flops.V1", 0.55, "V1") | {"fit": "flops"}, made_up_law("compute.IT", 0.45, "IT"),
              made_up_law("compute.V4", 0.3, "V4")]  # fmt: skip
    other = table.iloc[40:].assign(simulated=False, score=table["score"].iloc[40:] + 0.1)
    words = [{"fit": fit, "title": title, "caption": "", "by": ["region"]} for fit, title in
             (("flops", "Other words"), ("compute", ""))]  # fmt: skip
    return [
        write_finished_study(root / "a", "a", first, table),
        write_finished_study(root / "b", "b", second, other, {"bootstraps": 500},
                             words),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def studies(folders):
    return comparison.read_studies(folders)


def test_laws_of_one_question_stand_together(studies):
    found = comparison.matched(studies)
    assert [(one.title, sorted(one.answers)) for one in found] == [
        ("Alignment against compute <1>: IT", [0, 1]),
        ("Alignment against compute <1>: V1", [0, 1]),
        ("Score of V4 against training compute (FLOPs): V4", [1]),
    ]
    assert [answer.asymptote for answer in found[0].answers.values()] == ["0.4 (0.35 to 0.45)", "0.45 (0.4 to 0.5)"]
    rows = comparison.comparison_rows(studies)
    assert [(row["study"], row["law"], row["asymptote"]) for row in rows][2:] == [
        ("a", "compute.V1", 0.5), ("b", "flops.V1", 0.55), ("b", "compute.V4", 0.3),
    ]  # fmt: skip


def test_scores_of_shared_networks_are_joined(studies):
    scores = comparison.shared_scores(studies)
    assert len(scores) == 44 and set(scores.columns) >= {"run", "region", "a", "b", "difference"}
    assert scores["difference"].round(6).eq(0.1).all() and (scores["b"] > scores["a"]).all()


def test_settings_that_differ_are_told(studies):
    rows = comparison.differing_settings(studies, comparison.matched(studies))
    told = {(row["key"], row["values"]) for row in rows}
    assert told == {("bootstraps", ("200", "500")), ("numpy", ("a", "b"))}
    (bootstraps,) = (row for row in rows if row["key"] == "bootstraps")
    assert bootstraps["what"].count("Alignment against compute") == 2


def test_the_page_stands_alone(studies, tmp_path):
    write_comparison(tmp_path / "compare.html", studies)
    text = (tmp_path / "compare.html").read_text()
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", text)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])["laws"]
    text = re.sub("<script.*?</script>", "", text, flags=re.S)
    assert set(re.findall(r'src="([^":]*):', text)) == {"data"} and text.count("<img ") == 2
    assert "Alignment against compute &lt;1&gt;: V1" in text and "SIMULATED DATA." in text
    assert all(re.search(r'alt="[^"]{20,}"', picture) for picture in re.findall(r"<img [^>]*>", text))
    assert re.findall('data-figure="(.*?)"', text) == list(data["groups"])
    for group in data["groups"].values():
        ((one, other),) = (panel["fits"] for panel in group["panels"])
        for fit, name in ((one, "a"), (other, "b")):
            runs = {data["networks"]["rows"][i][0] for i in data["points"][fit["points"]]["network"]}
            assert fit["family"] == name and fit["curve"] and all(run.startswith(f"{name}: ") for run in runs)


def test_rows_come_as_a_table_csv_and_json(folders, capsys):
    assert main(["compare", *map(str, folders), "--format", "json"]) == 0
    said = capsys.readouterr()
    rows = json.loads(said.out)
    assert [row["asymptote"] for row in rows] == [0.4, 0.45, 0.5, 0.55, 0.3] and "SIMULATED recordings in a" in said.err
    assert main(["compare", *map(str, folders)]) == 0
    assert "0.45 (0.4 to 0.5)" in capsys.readouterr().out


def test_faults_are_told_all_at_once(folders, tmp_path):
    a, b = folders
    unfinished = write_finished_study(tmp_path / "c", "c", [made_up_law("compute.V1", 0.5, "V1")], simulated_study()[0])
    (unfinished / "fits" / "compute.V1.json").unlink()
    with pytest.raises(DataError) as caught:
        comparison.read_studies([a.with_name("aa"), unfinished, tmp_path])
    first, second, third = map(str, caught.value.problems)
    assert "no such folder" in first and f"nearest:  {a}" in first and str(b) in first
    assert "not finished: 1 of its files" in second and "fits/compute.V1.json" in second
    assert "has no artefacts.json" in third
    with pytest.raises(DataError, match="two studies or more"):
        comparison.read_studies([a])


def test_a_page_is_called_one(folders, capsys):
    assert main(["compare", *map(str, folders), "--output", "compare.csv"]) == 1
    assert "a page ends in .html" in capsys.readouterr().err


def test_two_studies_of_one_name_are_told_apart(folders):
    one, other = comparison.read_studies([folders[0], folders[0]])
    assert one.name == other.name == f"a ({folders[0]})" and one.simulated
