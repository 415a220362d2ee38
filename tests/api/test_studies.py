"""`open_study` from Python: results are read without the data; what is absent is told with the next step.

What a whole study made is read in tests/encoding/test_planted_arrays.py.
"""

import pandas as pd
import pytest
import yaml

import neuroscaling as ns
from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.core.files import write_json
from tests.forecast.test_next_runs import planted_two
from tests.support.finished_fits import completed

STUDY = {
    "study": "far",
    "datasets": {"images": {"format": "imagefolder", "root": "/not/here"}},
    "runs": [{"archs": ["resnet_w8"], "datasets": ["images"], "samples_per_class": [1], "recipe": "sgd100"}],
    "fits": ["laws.yaml"],
}
FITS = {"fits": [{"name": name, "form": "power_law", "x": "n_samples"} for name in ("size", "later")]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    (tmp_path / "laws.yaml").write_text(yaml.safe_dump(FITS))
    return tmp_path


def test_results_are_read_where_the_data_are_not(folder, monkeypatch):
    results = folder / "results/far"
    fit, resamples = planted_two()
    write_json(results / "fits/size.json", completed(fit | {"name": "size"}))
    resamples.to_parquet(results / "fits/size.bootstraps.parquet")
    pd.DataFrame({"run": ["a"], "score": [0.5]}).to_parquet(results / "scores.parquet")
    study = ns.open_study("study.yaml")
    monkeypatch.chdir("/")
    assert study.scores()["score"].tolist() == [0.5]
    assert list(study.fits()) == ["size"] and "no law of later: not made yet" in repr(study.fits())
    assert "not made yet" in repr(study) and "scores.parquet" in study._repr_html_()
    with pytest.raises(NeuroscalingError, match="not/here"):
        study.runs()


@pytest.mark.parametrize("what", ["scores", "fits", "report"])
def test_what_is_not_made_yet_is_told_with_the_next_step(folder, what):
    study = ns.open_study("study.yaml")
    with pytest.raises(NeuroscalingError, match=r"(?s)the study has no .* yet.*next: +run the study"):
        getattr(study, what)() if what != "report" else study.report


def test_files_that_are_no_study_are_refused(folder):
    with pytest.raises(NeuroscalingError, match=r"(?s)no such study file.*nearest: +study.yaml"):
        ns.open_study("studi.yaml")
    with pytest.raises(NeuroscalingError, match=r"unknown key|key is missing"):
        ns.open_study("laws.yaml")
