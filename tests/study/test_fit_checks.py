"""Fits whose points would pool several numbers of mapping images are refused before anything is computed."""

from pathlib import Path

import pytest
import yaml

from neuroscaling.cli.fit_checks import mapping_size_problems
from neuroscaling.study.sections.fit_files import FitFile, expand_fits, load_fit_file
from neuroscaling.study.sections.validation import read_study_parts
from neuroscaling.study.sections.whole_study import Study

CONFIG = Path(__file__).parents[2] / "config"
FILE = Path("s.yaml")
RUNS = [{"archs": ["resnet_w4"], "datasets": ["digits"], "recipe": "digits", "samples_per_class": [1]}]
FIT = {"name": "a", "form": "log_linear", "x": "n_params", "y": "raw"}
PLS, BEHAVIOR = "MajajHong2015public.IT-pls", "Rajalingham2018public-i2n"


def study(**changes):
    content = {"study": "s", "store": "store", "datasets": {"digits": {"format": "digits"}}, "runs": RUNS}
    return Study.model_validate(content | {"simulated": {"brain": {"seed": 1}}} | changes)


def fmri(samples, **keys):
    return study(encoding=[{"source": "algonauts2023", "data": {"simulated": "brain"}, "samples": samples, **keys}])


def found(of, **fit):
    return list(mapping_size_problems(of, expand_fits(FitFile(fits=[FIT | fit])), FILE))


@pytest.mark.parametrize("fit", [{}, {"group_by": []}, {"filters": {"region": "V1"}}, {"filters": {"metric": "ridge"}}])
def test_pooled_numbers_are_refused(fit):
    (problem,) = found(fmri([10, 100, "all"]), **fit)
    assert "pool rows of several numbers of mapping images" in problem.what and "fit a" in str(problem.where)
    assert problem.value == "3 of algonauts2023" and "n_mapping" in problem.fix


@pytest.mark.parametrize(
    "fit",
    [
        {"x": "n_mapping"},
        {"group_by": ["run", "n_mapping"]},
        {"filters": {"n_mapping": 100}},
        {"filters": {"n_mapping": {"min": 50}}},
        {"by": {"n_mapping": [10, 100]}},
        {"filters": {"benchmark": PLS}},
        {"filters": {"region": ["IT", "behavior"]}},
        {"filters": {"metric": ["pls", "rsa"]}},
        {"form": "chinchilla", "x": ["n_params", "n_mapping"]},
    ],
)
def test_one_number_a_point_is_accepted(fit):
    assert not found(fmri([10, 100, "all"]), **fit)


def test_a_source_of_one_number_pools_nothing():
    assert not found(fmri(["all"]))
    assert not found(fmri([100]))


def test_sessions_are_told_by_their_names():
    v4 = study(encoding=[{"source": "v4", "sessions": ["190923"], "samples": [10, 20]}])
    assert found(v4)[0].value == "2 of v4"
    assert found(v4, filters={"benchmark": ["190923"]})
    assert not found(v4, filters={"benchmark": ["190925"]})


def test_numbers_of_brainscore_count_by_benchmark():
    settings = {"data": {"simulated": "brain"}, "benchmarks": [PLS, BEHAVIOR], "samples": [10, "all"]}
    of = study(brainscore=settings)
    assert found(of)[0].value == f"2 of {PLS}"
    assert not found(of, filters={"region": "behavior"})


@pytest.mark.parametrize("path", sorted((CONFIG / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_fits_of_the_repository_pool_nothing(path, monkeypatch):
    for name in ("ALGONAUTS_ROOT", "TVSD_ROOT", "THINGS_FMRI_ROOT", "THINGS_ROOT", "IMAGENET_ROOT", "ECOSET_ROOT"):
        monkeypatch.setenv(name, "/data")
    config, document, _ = read_study_parts(path)
    assert config is not None and yaml.safe_load(path.read_text())["study"] == config.study
    fits = [
        job for file in document.content.get("fits", ()) for job in expand_fits(load_fit_file(CONFIG.parent / file))
    ]
    assert not list(mapping_size_problems(config, fits, path))
