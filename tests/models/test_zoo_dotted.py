"""Networks of one's own by dotted path, from the study's name for them to their layers and weights."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from neuroscaling.core.errors import StudyError
from neuroscaling.models.build import build, skeleton
from neuroscaling.models.checkpoints import build_with
from neuroscaling.models.cost import count
from neuroscaling.models.layers import candidate_layers, check_layers, readout_layer
from neuroscaling.models.weights import save_weights
from neuroscaling.study import architectures, own_networks
from neuroscaling.study.published_weights import weights_problems
from neuroscaling.study.run_table import expand_runs
from neuroscaling.study.sections.extraction import Layers
from neuroscaling.study.sections.whole_study import Study

MODULE = """
from torch import nn

def small(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.Conv2d(4, 8, 3, stride=4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes),
    )

def words(num_classes):
    return "not a network"

def hungry(num_classes, width):
    return nn.Linear(width, num_classes)

NUMBER = 3
"""


@pytest.fixture()
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the lab in the current directory, which Python doesn't import from by itself."""
    folder = tmp_path / "ourlab" / "nets"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('imported although only its place was asked for')\n")
    (folder / "__init__.py").write_text("")
    (folder / "small.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "ourlab"]:
        del sys.modules[name]


@pytest.fixture()
def small(package: Path) -> str:
    (package.parent / "__init__.py").write_text("")
    return "ourlab.nets.small:small@64"


def test_a_dotted_path_is_known_without_an_import(package: Path):
    assert architectures.is_architecture("ourlab.nets.small:small") and architectures.is_architecture(
        "ourlab.nets.small:small@96"
    )
    entry = architectures.architecture("ourlab.nets.small:small@96")
    assert (entry.family, entry.input_size) == ("own", 96)
    assert architectures.architecture("ourlab.nets.small:small").input_size == 224
    assert "ourlab" not in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ourlab.nets.smal:small", "no module `ourlab.nets.smal`"),
        ("ourlab.nets.small:smal", "no function `smal` in this module"),
        ("ourlab.nets.small:small@", "not the dotted path of a function"),
        ("ourlab.nets.small:small@huge", "not the dotted path of a function"),
        ("ourlab/nets/small.py:small", "not the dotted path of a function"),
    ],
)
def test_what_is_missing_of_a_dotted_path_is_named(package: Path, name: str, message: str):
    assert not architectures.is_architecture(name)
    with pytest.raises(StudyError, match=message):
        architectures.architecture(name)
    assert "ourlab" not in sys.modules


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("words", "the function gives `str`"),
        ("hungry", "the function can't be called: missing a required argument: 'width'"),
        ("NUMBER", "`NUMBER` is not a function"),
    ],
)
def test_what_is_wrong_with_the_function_is_named(small: str, function: str, message: str):
    with pytest.raises(StudyError, match=message):
        build(f"ourlab.nets.small:{function}", 10, 0)


def test_an_import_that_fails_names_the_module_and_the_error(package: Path):
    with pytest.raises(StudyError, match="can't be imported: RuntimeError: imported although") as caught:
        build("ourlab.nets.small:small", 10, 0)
    assert caught.value.problems[0].where == str(package / "small.py")


def test_an_edited_module_makes_another_run(small: str, package: Path):
    def named(arch: str) -> str:
        (run,) = expand_runs(Study.model_validate({"study": "s", "runs": [{"untrained": [arch]}]}), {})
        return run.run.rpartition("-")[2]

    before, other = named(small), named(f"{small[:-2]}96")
    assert named(small) == before != other
    (package / "small.py").write_text(MODULE.replace("stride=4", "stride=2", 1))
    assert named(small) != before


def test_an_own_network_is_built_from_its_seed_costed_and_saved(small: str, tmp_path: Path):
    model, again = build(small, 5, 3), build(small, 5, 3)
    assert torch.equal(model[0].weight, again[0].weight) and model[6].out_features == 5
    assert count(small) == {
        "n_params": sum(parameter.numel() for parameter in skeleton(small).parameters()),
        "macs": 16 * 16 * 4 * 27 + 4 * 4 * 8 * 36 + 8 * 1000,
        "paper_macs": 16 * 16 * 4 * 27 + 4 * 4 * 8 * 36 + 8 * 1000 + 4 * 4 * 8,
    }
    save_weights(model, tmp_path / "weights.safetensors", {"arch": small})
    loaded = build_with(small, tmp_path / "weights.safetensors")
    assert torch.equal(loaded[6].weight, model[6].weight)


def test_layers_of_an_own_network_are_found_or_named_in_the_study(small: str):
    assert candidate_layers(small) == ["1", "3"] and readout_layer(small) == "5"
    section = Layers(candidates=["0", "2"], regions={"V1": "0", "IT": "3"}, readout="4")
    assert check_layers(small, section.named()) == []
    (problem,) = check_layers(small, ["0", "9"])
    assert problem.value == "9"


def test_stochastic_depth_of_an_own_network_is_its_own_affair(small: str):
    with pytest.raises(StudyError, match="an architecture without stochastic depth"):
        build(small, 10, 0, drop_path=0.1)


def test_nobody_published_weights_of_an_own_network(small: str):
    (problem,) = weights_problems(small, None)
    assert problem.value == small and "`weights:`" in problem.fix


def test_a_module_of_the_same_name_from_elsewhere_is_refused(
    small: str, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build(small, 10, 0)
    shutil.copytree(package.parent, tmp_path / "elsewhere" / "ourlab")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    with pytest.raises(StudyError, match="another module of this name is imported"):
        own_networks.load_dotted(small)
