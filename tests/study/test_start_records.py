"""Jobs find what the driver wrote down for them, and nothing of another start."""

import os
from pathlib import Path

import pytest

from neuroscaling.core import provenance
from neuroscaling.core.errors import DataError
from neuroscaling.core.logs import script_logging
from neuroscaling.core.typed_json import Recorded
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.study import start_records
from neuroscaling.study.recorded_rules import Output, RecordedRule, rules_text
from neuroscaling.study.start_records import JobRecord, read_job, read_start, write_start

SETTINGS = DatasetSettings(format="digits")


def record(job: str) -> JobRecord:
    """What a job is given."""
    params = {"settings": [SETTINGS], "title": f"train {job}", "fit": {"b": (1, 2), "a": None}}
    return JobRecord.of({"": [f"in/{job}"], "table": "one"}, params, 2, {"mem_mb": [10, 20, 30], "gpu": [1, 1, 1]})


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Write a start of some jobs in a working directory of its own."""
    monkeypatch.chdir(tmp_path)

    def write(*names: str, snakefile: str = "/clone/Snakefile") -> start_records.Start:
        jobs = ((("train", {"job": name}), record(name)) for name in names)
        return write_start(snakefile, Path("/code/abc"), "small.yaml", {"located": {"store": ["s"]}}, "# rules\n", jobs)

    return write


def test_a_job_finds_what_it_is_given(start):
    names = [f"run{i}" for i in range(600)]  # some share a file
    written = start(*names)
    found = read_start("/clone/Snakefile")
    assert found == written and found.of_config() == {"located": {"store": ["s"]}}
    assert found.rules.read_text() == "# rules\n"
    for name in names[::97]:
        job = read_job(found, "train", {"job": name})
        assert job == record(name) and job.input == {"": [f"in/{name}"], "table": "one"} and job.threads == 2
        assert job.param("title") == f"train {name}"
        assert repr(job.param("fit")) == "{'b': (1, 2), 'a': None}"
        settings = job.param("settings")
        assert isinstance(settings, Recorded) and repr(settings) == repr([SETTINGS])


def test_the_log_of_a_job_on_another_environment_says_so_in_a_line(start, monkeypatch, tmp_path):
    start("one")
    versions = read_start("/clone/Snakefile").versions
    assert {"python", "torch", "numpy", "snakemake"} <= set(versions) and provenance.differences(versions) == ""
    told = provenance.differences(versions | {"numpy": "1.0", "torch": None, "gone": "3"})
    assert f"numpy {versions['numpy']} (1.0)" in told and f"torch {versions['torch']} (none)" in told
    assert "gone" not in told and "python" not in told and "\n" not in told
    for line, logged in ((told, [told]), ("", [])):
        monkeypatch.setenv(provenance.UNLIKE, line)
        with script_logging(str(tmp_path / "job.log")):
            pass
        said = (tmp_path / "job.log").read_text().splitlines()
        assert [one.split(": ", 1)[1] for one in said if " WARNING " in one] == logged


def test_resources_grow_to_the_last_attempt_that_is_recorded():
    job = record("x")
    assert [job.resource("mem_mb", attempt) for attempt in (1, 2, 3, 4, 20)] == [10, 20, 30, 30, 30]


def test_a_job_of_a_former_start_is_named_in_one_line(start):
    start("old")
    found = start("new")
    with pytest.raises(DataError, match=r"no job `train job=old`; it is of a former one") as caught:
        read_job(found, "train", {"job": "old"})
    assert len(caught.value.problems) == 1
    with pytest.raises(DataError, match="no job `extract job=new`"):
        read_job(found, "extract", {"job": "new"})


def test_a_start_is_that_of_its_own_snakefile(start):
    assert read_start("/clone/Snakefile") is None
    start("a")
    assert read_start("/clone/Snakefile") is not None and read_start("/other/Snakefile") is None


@pytest.mark.parametrize("names", ["aabcd", "abac", "abb"])
def test_equal_starts_share_a_folder_and_one_former_start_stays(start, names):
    """Whatever the dates of their folders say: starts that follow each other at once have one date."""
    folders = []
    for date, name in zip(range(len(names), 0, -1), names, strict=True):
        folders.append(start(name).folder)
        os.utime(start_records.STARTS / folders[-1], (date, date))
    assert len(set(folders)) == len(set(names))
    present, former = list(dict.fromkeys(reversed(folders)))[:2]
    assert {path.name for path in start_records.STARTS.iterdir()} == {present, former}
    assert read_start("/clone/Snakefile").folder == present


def test_a_damaged_record_is_refused(start):
    found = start("a")
    (share,) = (start_records.STARTS / found.folder).glob("*.json")
    share.write_text(share.read_text().replace("in/a", "in/b"))
    with pytest.raises(DataError, match="altered"):
        read_job(found, "train", {"job": "a"})


def test_rules_are_a_snakefile_that_looks_things_up():
    train = RecordedRule(
        "train",
        (Output("made/{job}", touched=True), Output("{job}.json", "facts")),
        inputs=("", "slices"),
        params=("jobs",),
        resources=("gpu",),
        log="logs/{job}.log",
        message="Train {params.title}",
        script=Path("/code/it's/train.py"),
        constraints={"job": r"[a-z]+\d"},
    )
    every = RecordedRule("all", files=("report.html",))
    table = RecordedRule("table", (Output("scores.parquet", "table"),))
    text = rules_text([train, every, table], Path("/code/recorded.smk"))
    assert text.startswith("include: '/code/recorded.smk'")
    for line in (
        "        input_of('train', ''),",
        "        slices=input_of('train', 'slices'),",
        "        touch('made/{job}'),",
        "        facts='{job}.json',",
        "        job='[a-z]+\\\\d',",
        "        threads_of('train')",
        "        gpu=resource_of('train', 'gpu'),",
        "        jobs=param_of('train', 'jobs'),",
        '        "/code/it\'s/train.py"',
        "        'report.html',",
        "        table='scores.parquet',",
    ):
        assert line in text.splitlines()
    assert text.count("script:") == 1 and "conda:" not in text
