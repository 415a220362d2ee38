"""Fits over several scales are told by `check`, before anything runs; those over one, or meant to be means, are not."""

from pathlib import Path

import pytest
import yaml

from neuroscaling.cli.deep_checks import deep_problems
from neuroscaling.core.errors import StudyError
from neuroscaling.study.loaded_study import load_study

V1, IT, BEHAVIOR = "FreemanZiemba2013public.V1-pls", "MajajHong2015public.IT-pls", "Rajalingham2018public-i2n"
REPOSITORY = Path(__file__).parents[2]


def problems(folder: Path, fit: dict, **changes) -> list[str]:
    content = {
        "study": "small",
        "store": str(folder / "store"),
        "runs": [{"untrained": ["resnet_w8"], "seeds": [0]}],
        "simulated": {"brain": {"stimuli": 100}},
        "brainscore": {"data": {"simulated": "brain"}, "benchmarks": [V1, IT, BEHAVIOR], "layers": {"choose": "depth"}},
        "fits": [str(folder / "fits.yaml")],
    } | changes
    (folder / "small.yaml").write_text(yaml.safe_dump(content))
    (folder / "fits.yaml").write_text(
        yaml.safe_dump({"fits": [{"name": "law", "form": "power_law", "x": "n_params"} | fit]})
    )
    return [str(problem) for problem in deep_problems(load_study(folder / "small.yaml"))]


@pytest.mark.parametrize(
    ("fit", "scales"),
    [
        ({}, ["r2/c of " + V1, "r/sqrt(c) of " + BEHAVIOR]),
        ({"filters": {"region": ["IT", "behavior"]}}, ["r2/c of " + IT, "r/sqrt(c) of " + BEHAVIOR]),
        ({"filters": {"benchmark": {"not": V1}, "kind": "trained"}}, ["r2/c of " + IT, "r/sqrt(c) of " + BEHAVIOR]),
        ({"mean_over_scales": True}, []),
        ({"y": "raw"}, []),
        ({"filters": {"scale": "r2/c"}}, []),
        ({"filters": {"region": ["V1", "IT"]}}, []),
        ({"by": {"region": ["V1", "IT", "behavior"]}}, []),
        ({"filters": {"subject": "all"}}, []),
    ],
)
def test_a_fit_over_several_scales_is_told_before_anything_runs(tmp_path, fit, scales):
    found = problems(tmp_path, fit)
    assert len(found) == bool(scales)
    assert not scales or ("; ".join(scales) in found[0] and "fit law" in found[0] and "mean_over_scales" in found[0])


def test_accuracy_is_on_a_scale_of_its_own(tmp_path):
    of_v1 = {"brainscore": {"data": {"simulated": "brain"}, "benchmarks": [V1], "layers": {"choose": "depth"}}}
    assert problems(tmp_path, {}, **of_v1) == []
    (found,) = problems(tmp_path, {}, accuracy=True, **of_v1)
    assert f"r2/c of {V1}; none of validation" in found
    assert problems(tmp_path, {"filters": {"benchmark": V1}}, accuracy=True, **of_v1) == []


def test_in_parity_the_neural_scale_is_the_published_one(tmp_path):
    (found,) = problems(tmp_path, {}, protocol="parity")
    assert f"(r/c)2 of {V1}; r/sqrt(c) of {BEHAVIOR}" in found


@pytest.mark.parametrize("name", ["gokce2025", "neuro", "demo"])
def test_the_fits_that_come_with_the_project_pool_no_scales_unless_they_say_so(tmp_path, name):
    assert problems(tmp_path, {}, fits=[str(REPOSITORY / "config" / "fits" / f"{name}.yaml")]) == []


def test_a_filter_by_a_scale_that_there_is_not_is_told_with_the_nearest(tmp_path):
    with pytest.raises(StudyError, match="nearest:  r2/c"):
        problems(tmp_path, {"filters": {"scale": "r^2/c"}})
