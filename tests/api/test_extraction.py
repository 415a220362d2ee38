"""`extract` from Python: what a network of one's own responds, opened lazily, and found again."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import neuroscaling as ns
from neuroscaling.core.errors import DataError, NeuroscalingError, StudyError
from tests.support.own_arrays import write_images

N, SIZE = 20, 16
COLOURS = [(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)]


class Net(nn.Module):
    """A network of one's own, in a module's file."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.second = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 6, 3, 2)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.pool(self.second(self.first(x).relu())).flatten(1))


def network(num_classes: int) -> nn.Module:
    """The same, as a study would name it."""
    return Net()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given") / "images"
    return write_images(folder, [f"{i:02d}.png" for i in range(N)], SIZE)


def shown(images: Path) -> torch.Tensor:
    """The images as the network gets them, made here once more."""
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in sorted(images.iterdir())])
    mean, std = (np.array(colour, dtype=np.float32) for colour in COLOURS)
    return torch.from_numpy(((pixels.astype(np.float32) / 255 - mean) / std).transpose(0, 3, 1, 2))


def test_a_module_of_ones_own_responds_as_it_does_by_itself(images, tmp_path):
    model = Net()
    found = ns.extract(model, images, ["first", "fc"], path=tmp_path, input_size=SIZE, batch=8)
    assert list(found.children) == ["first", "fc"] and found.attrs["kind"] == "checkpoint"
    with torch.no_grad():
        first, last = model.first(shown(images)).flatten(1).numpy(), model(shown(images)).numpy()
    for layer, expected in (("first", first), ("fc", last)):
        array = found[layer]["activations"]
        assert array.dims == ("stimulus", "neuroid")
        np.testing.assert_allclose(array.values, expected, atol=1e-5)
    assert found["first"]["stimulus"].values.tolist() == sorted(file.name for file in images.iterdir())


def test_values_are_read_when_they_are_asked_for_and_not_kept(images, tmp_path):
    array = ns.extract(Net(), images, path=tmp_path, input_size=SIZE)["second"]["activations"]
    assert not array.variable._in_memory
    assert array[:2, :3].values.shape == (2, 3) and array.values.shape[0] == N
    assert not array.variable._in_memory


def test_what_is_there_is_found_again_and_other_weights_are_another_network(images, tmp_path):
    first = ns.extract(Net(), images, path=tmp_path, input_size=SIZE)
    made = Path(first.attrs["store"]).stat().st_mtime_ns
    again = ns.extract(Net(), sorted(images.iterdir()), path=tmp_path, input_size=SIZE)
    assert again.attrs == first.attrs and Path(again.attrs["store"]).stat().st_mtime_ns == made
    of_run = ns.extract(tmp_path / "runs" / first.attrs["run"], images)
    assert [*of_run.children] == [*first.children]
    with pytest.raises(DataError, match="a module that Python was given"):
        ns.extract(tmp_path / "runs" / first.attrs["run"], images, "all")
    other = ns.extract(Net(seed=1), images, path=tmp_path, input_size=SIZE)
    assert other.attrs["store"] != first.attrs["store"]
    assert not np.allclose(other["second"]["activations"], first["second"]["activations"])


def test_a_function_and_a_file_of_weights_give_the_same_as_the_module(images, tmp_path):
    name = f"{__name__}:network"
    by_module = ns.extract(Net(), images, "second", path=tmp_path, input_size=SIZE)["second"]
    by_name = ns.extract(name, images, "second", path=tmp_path, input_size=SIZE)["second"]
    np.testing.assert_array_equal(by_name["activations"], by_module["activations"])
    torch.save(Net(seed=2).state_dict(), tmp_path / "mine.pt")
    loaded = ns.extract(name, images, "second", weights=tmp_path / "mine.pt", path=tmp_path, input_size=SIZE)
    direct = ns.extract(Net(seed=2), images, "second", path=tmp_path, input_size=SIZE)
    np.testing.assert_array_equal(loaded["second"]["activations"], direct["second"]["activations"])


def test_grids_are_those_of_the_pipeline(images, tmp_path):
    reduction = {"kind": "grid", "sizes": [1, 2]}
    found = ns.extract(Net(), images, "second", path=tmp_path, input_size=SIZE, reduction=reduction)
    assert list(found.children)[:2] == ["second@1", "second@2"]
    assert found["second@2"]["grid"] == 2 and found["second@2"]["activations"].shape == (N, 6 * 4)


def test_files_of_one_name_are_called_by_their_folders(tmp_path):
    for folder in ("cats", "dogs"):
        write_images(tmp_path / "images" / folder, ["1.png"], SIZE)
    found = ns.extract("pixels", tmp_path / "images", path=tmp_path / "store")
    assert found["stimulus"].values.tolist() == ["cats/1.png", "dogs/1.png"]
    of_run = ns.extract(tmp_path / "store/runs" / found.attrs["run"], tmp_path / "images" / "cats")
    assert of_run["pixels"]["activations"].shape == (1, 28 * 28)


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"network": "resnet17"}, StudyError, "unknown architecture.*nearest: +resnet"),
        ({"network": "./store/runs/none"}, DataError, "no run in this folder"),
        ({"network": 3}, StudyError, "not a network"),
        ({"weights": "untrained"}, StudyError, "weights beside a network that has its own"),
        ({"layers": ["frist"]}, DataError, "unknown layer.*nearest: +first"),
        ({"tokens": "klass"}, DataError, r"extract\(\): extraction.tokens.*nearest: +class"),
        ({"reduction": "grids"}, DataError, "reduction.kind.*nearest: +grid"),
        ({"images": "imaegs"}, DataError, "no such folder of images"),
        ({"images": []}, DataError, "the list of images is empty"),
        ({"images": ["00.pgn"]}, DataError, "1 images are missing"),
        ({"network": "resnet18", "weights": "none.pt"}, DataError, "file is missing"),
    ],
    ids=str,
)
def test_errors_are_those_of_the_command_line(images, tmp_path, arguments, kind, words):
    asked = {"network": Net(), "images": images, "path": tmp_path, "input_size": SIZE} | arguments
    with pytest.raises(kind, match=f"(?s){words}") as caught:
        ns.extract(**asked)
    assert isinstance(caught.value, NeuroscalingError)


def test_importing_the_package_loads_nothing():
    """Who reads the version, or runs the command line, doesn't wait for torch or pandas."""
    code = "import sys, neuroscaling as ns; print(sorted({'torch', 'pandas', 'numpy', 'xarray'} & set(sys.modules)))"
    code += "; print([name for name in ns.__all__ if name not in dir(ns)])"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.split("\n")[:2] == ["[]", "[]"]
    with pytest.raises(AttributeError, match="no attribute 'extrakt'"):
        _ = ns.extrakt
