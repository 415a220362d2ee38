"""Files of fits: what they expand to, and how their faults are told."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from neuroscaling.core.errors import StudyError
from neuroscaling.laws.forms import FORMS
from neuroscaling.study.sections.fit_files import FitFile, expand_fits, load_fit_file
from neuroscaling.study.sections.fits import FormName

CONFIG = Path(__file__).parents[2] / "config" / "fits"


def problems_of(tmp_path, text):
    path = tmp_path / "f.yaml"
    path.write_text(text)
    with pytest.raises(StudyError) as caught:
        load_fit_file(path)
    return caught.value.problems


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda p: p.stem)
def test_files_of_the_repository_are_valid(path):
    jobs = expand_fits(load_fit_file(path))
    assert len({job.name for job in jobs}) == len(jobs)
    json.dumps([job.settings for job in jobs])


def test_demo_has_a_law_for_each_region_and_family():
    names = {job.name for job in expand_fits(load_fit_file(CONFIG / "demo.yaml"))}
    assert {"samples.V1.ResNet", "samples.behavior.ViT", "fmri-samples.hV4.ViT"} <= names
    full = {job.name for job in expand_fits(load_fit_file(CONFIG / "demo-full.yaml"))}
    assert {"params.IT.ResNet", "flops.V4.ViT", "fmri-flops.ventral.ResNet"} <= full and not names & full


def test_a_caption_goes_with_its_laws():
    fits = FitFile(fits=[{"name": "a", "form": "power_law", "x": "n_params", "caption": "Few points."}])
    (job,) = expand_fits(fits)
    assert job.words == {"title": "", "caption": "Few points.", "by": []}
    # Other words are no other law: nothing is fitted anew.
    assert not {"title", "caption"} & set(job.settings)


def test_a_title_that_came_with_another_entry_is_a_fault(tmp_path):
    path = tmp_path / "fits.yaml"
    path.write_text(
        "fits:\n  - &a {name: a, title: Compute, form: power_law, x: total_flops}\n  - {<<: *a, name: b, x: n_params}\n"
    )
    with pytest.raises(StudyError, match="two fits of one title; the other is a"):
        load_fit_file(path)


def test_configuration_knows_all_forms():
    assert list(get_args(FormName)) == list(FORMS)


def test_by_becomes_filters_and_names():
    fits = FitFile(
        fits=[{"name": "a", "form": "power_law", "x": "n_params", "by": {"region": ["V1", "IT"], "seed": [0]}}]
    )
    jobs = expand_fits(fits)
    assert [job.name for job in jobs] == ["a.V1.0", "a.IT.0"]
    assert jobs[1].settings["filters"] == {"region": "IT", "seed": 0}


def test_all_faults_are_told_at_once(tmp_path):
    text = "fits:\n - {name: a, form: power_lw, x: n_params, bootstrps: 3}\n - {name: 'a b', x: n_params}\n"
    problems = problems_of(tmp_path, text)
    assert {p.value for p in problems} >= {"power_lw", "bootstrps", "a b"}
    assert {"power_law", "bootstraps"} <= {p.nearest for p in problems}


def test_unknown_columns_get_the_nearest(tmp_path):
    fit = "name: a, form: power_law, x: n_sample, filters: {regions: IT}, cluster: [archs], by: {regon: [V1]}"
    text = f"fits: [{{{fit}}}]"
    found = {(p.value, p.nearest) for p in problems_of(tmp_path, text)}
    assert found == {("n_sample", "n_samples"), ("regions", "region"), ("archs", "arch"), ("regon", "region")}


def test_x_must_hold_numbers(tmp_path):
    assert "no numbers" in problems_of(tmp_path, "fits: [{name: a, form: power_law, x: arch}]")[0].what


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ("name: a, x: n_params", "either `form` or `forms`"),
        ("name: a, x: n_params, form: logistic, forms: [logistic]", "either `form` or `forms`"),
        ("name: a, x: n_params, form: logistic, filters: {seed: {mn: 2}}", "min"),
        ("name: a, x: n_params, form: logistic, filters: {seed: {min: 3, max: 2}}", "above"),
        ("name: a, x: n_params, form: logistic, filters: {seed: []}", "no row"),
        ("name: a, x: n_params, form: logistic, by: {region: []}", "list of values"),
        ("name: a, x: n_params, form: logistic, x_scale: 0", "above 0"),
        (f"name: a, x: n_params, form: logistic, by: {{region: [{'a' * 200}]}}", "file"),
        ("name: a, x: n_params, form: logistic, by: {seed: [0]}, filters: {seed: 0}", "twice"),
    ],
)
def test_faults(tmp_path, fit, message):
    problems = problems_of(tmp_path, f"fits: [{{{fit}}}]")
    assert any(message in p.what for p in problems), problems


def test_values_become_names_that_files_can_have():
    values = ["lite2@112", "lite2-112", "lite2/112", "our.lab:net", "x y"]
    fits = FitFile(fits=[{"name": "a", "form": "power_law", "x": "n_params", "by": {"arch": values}}])
    jobs = expand_fits(fits)
    assert [job.settings["filters"]["arch"] for job in jobs] == values
    names = [job.name for job in jobs]
    assert len(set(names)) == len(names) and names[1] == "a.lite2-112"
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in names), "the workflow's wildcard `fit`"
    assert names[0].startswith("a.lite2-112-"), "it stays readable"


def test_two_fits_of_one_name(tmp_path):
    text = "fits:\n - {name: a, form: power_law, x: n_params}\n - {name: a, form: power_law, x: n_samples}\n"
    assert problems_of(tmp_path, text)[0].what == "two fits of one name"


def test_missing_file_names_its_neighbour(tmp_path):
    (tmp_path / "demo.yaml").write_text("fits: []")
    with pytest.raises(StudyError) as caught:
        load_fit_file(tmp_path / "dmo.yaml")
    assert caught.value.problems[0].nearest.endswith("demo.yaml")


def test_broken_yaml_names_the_line(tmp_path):
    assert "line" in str(problems_of(tmp_path, "fits: [a\nb: }")[0].where)


def test_configuration_is_light():
    heavy = "{'pandas', 'scipy', 'torch', 'xarray'}"
    code = f"import sys, neuroscaling.study.sections.fit_files; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
