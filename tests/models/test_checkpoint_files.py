"""Checkpoints of every layout give the tensors of one network, and nothing in them runs."""

import datetime
import io
import os
import pickle
import struct
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from neuroscaling.core.errors import DataError
from neuroscaling.core.inert_pickle import NOT_KNOWN, Inert, LimitedFile, Named, read_pickle
from neuroscaling.models.build import build
from neuroscaling.models.checkpoint_files import read_checkpoint
from neuroscaling.models.checkpoints import build_with
from neuroscaling.models.torch_files import MAGIC
from tests.support.checkpoint_states import composer_state

NETWORK = "resnet_w8"
FORMS = [True, False]
"""A zip, and the row of pickles that torch wrote before 1.6."""


def equal(found, expected):
    expected = expected.state_dict() if isinstance(expected, torch.nn.Module) else expected
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def told(path):
    with pytest.raises(DataError) as caught:
        read_checkpoint(path)
    return str(caught.value)


@pytest.mark.parametrize("zipped", FORMS)
def test_a_plain_state_dictionary_comes_back_to_the_last_bit(zipped, tmp_path):
    network = build(NETWORK, 10, 0)
    torch.save(network.state_dict(), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / "a.pt")
    assert equal(found.tensors, network)
    assert (found.layout, found.epoch, found.has_averaged) == ("state dictionary", None, False)
    assert found.form == ("torch, zip" if zipped else "torch, row of pickles")


@pytest.mark.parametrize("zipped", FORMS)
def test_views_shared_numbers_and_every_type_of_numbers_come_back(zipped, tmp_path):
    base = torch.arange(24, dtype=torch.float64).reshape(4, 6)
    state = {
        "whole": base,
        "part": base[1:3, ::2],
        "turned": base.T,
        "empty": torch.empty(0, 3),
        "number": torch.tensor(7),
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
        **{str(kind): torch.ones(3, dtype=kind) for kind in (torch.half, torch.bfloat16, torch.int8, torch.bool)},
        "complex": torch.ones(2, dtype=torch.complex64) * 1j,
    }
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / "a.pt").tensors
    assert equal(found, {name: value.detach() for name, value in state.items()})
    assert found["part"].untyped_storage().data_ptr() == found["whole"].untyped_storage().data_ptr()


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("zipped", FORMS)
def test_the_state_of_a_composer_trainer_gives_the_network_or_its_average(zipped, wrapped, tmp_path):
    network, average = build(NETWORK, 7, 0), build(NETWORK, 7, 1)
    state = composer_state(network, average, epoch=30, wrapped=wrapped)
    torch.save(state, tmp_path / "ep30.pt", _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / "ep30.pt")
    assert (found.layout, found.epoch, found.averaged, found.has_averaged) == ("Composer", 30, False, True)
    assert equal(build_with(NETWORK, tmp_path / "ep30.pt").state_dict(), network)
    assert equal(build_with(NETWORK, tmp_path / "ep30.pt", ema=True).state_dict(), average)
    assert equal(build_with(NETWORK, tmp_path / "ep30.pt", ema=False).state_dict(), network)


def test_the_average_of_composers_own_algorithm_is_found_too(tmp_path):
    network, average = build(NETWORK, 7, 0), build(NETWORK, 7, 1)
    state = composer_state(network)
    tensors = {f"module.{name}": value for name, value in average.state_dict().items()}
    half = len(tensors) // 2
    parts = [dict(list(tensors.items())[:half]), dict(list(tensors.items())[half:])]
    kept = dict(zip(("named_parameters_dict", "named_buffers_dict"), parts, strict=True))
    state["state"]["algorithms"].append(("EMA", {"ema_model": kept, "ema_weights_active": False}))
    torch.save(state, tmp_path / "a.pt")
    assert equal(build_with(NETWORK, tmp_path / "a.pt").state_dict(), network)
    assert equal(build_with(NETWORK, tmp_path / "a.pt", ema=True).state_dict(), average)


def test_files_of_timm_torchvision_and_lightning_say_their_epoch_and_whose_they_are(tmp_path):
    state, average = build(NETWORK, 7, 0).state_dict(), build(NETWORK, 7, 1).state_dict()
    under_module = {f"module.{name}": value for name, value in average.items()}
    files = {
        "timm": {"epoch": 3, "arch": "a", "state_dict": state, "state_dict_ema": average},
        "torchvision": {"epoch": 3, "model": state, "lr_scheduler": {}, "model_ema": under_module},
        "Lightning": {"epoch": 3, "state_dict": state, "pytorch-lightning_version": "2.0"},
    }
    for layout, content in files.items():
        torch.save(content, tmp_path / "a.pt")
        found = read_checkpoint(tmp_path / "a.pt")
        assert (found.layout, found.epoch, found.averaged) == (layout, 3, layout != "Lightning")
        assert equal(read_checkpoint(tmp_path / "a.pt", ema=False).tensors, state)
    save_file(state, tmp_path / "a.safetensors", {"epoch": "9"})
    assert read_checkpoint(tmp_path / "a.safetensors").epoch == 9


def test_averaged_weights_that_are_not_there_are_refused(tmp_path):
    torch.save(composer_state(build(NETWORK, 7, 0)), tmp_path / "a.pt")
    save_file(build(NETWORK, 7, 0).state_dict(), tmp_path / "a.safetensors")
    for name in ("a.pt", "a.safetensors"):
        with pytest.raises(DataError, match=r"a\.\w+: the file holds no averaged weights[\s\S]*ema: false"):
            read_checkpoint(tmp_path / name, ema=True)


class Runs:
    """What a pickle may hold: loading it as Python does would make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", FORMS)
def test_what_a_file_would_run_does_not_run(zipped, tmp_path):
    state = build(NETWORK, 7, 0).state_dict()
    content = {"state_dict": state, "callbacks": [Runs(tmp_path / "made")], "when": datetime.timedelta(1)}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert equal(read_checkpoint(tmp_path / "a.pt").tensors, state)
    assert not (tmp_path / "made").exists()
    torch.save({"model": Runs(tmp_path / "made")}, tmp_path / "b.pt", _use_new_zipfile_serialization=zipped)
    assert "no tensors in this file" in told(tmp_path / "b.pt") and "mkdir" in told(tmp_path / "b.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "c.pt", _use_new_zipfile_serialization=True)
    assert "a Python object" in told(tmp_path / "c.pt") and "Linear" in told(tmp_path / "c.pt")
    assert not (tmp_path / "made").exists()


def with_description(path, description, storages=()):
    """A zip as torch.save writes it, with a description and storages of one's own."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", description)
        for key, content in storages:
            file.writestr(f"archive/data/{key}", content)
    return path


def described(shape, strides, key="0", kind="FloatStorage"):
    """The description of a state dictionary with one tensor."""
    storage = f"(Vstorage\nctorch\n{kind}\nV{key}\nVcpu\nI4\ntQ"
    numbers = ["(" + "".join(f"I{n}\n" for n in values) + "t" for values in (shape, strides)]
    return f"(dVw\nctorch._utils\n_rebuild_tensor_v2\n({storage}I0\n{''.join(numbers)}I00\n(dtRs.".encode()


def test_a_tensor_may_not_have_more_numbers_than_the_file(tmp_path):
    path, content = tmp_path / "a.pt", struct.pack("4f", 1, 2, 3, 4)
    sound = with_description(path, described((2, 2), (2, 1)), [("0", content)])
    assert read_checkpoint(sound).tensors["w"].tolist() == [[1, 2], [3, 4]]
    for shape, strides in [((2, 3), (3, 1)), ((10**9, 10**9), (0, 0)), ((5,), (0,)), ((2,), (9,))]:
        with_description(path, described(shape, strides), [("0", content)])
        assert "a.pt: w: a tensor has more numbers than the file" in told(path)
    with_description(path, described((-1, -4), (4, 1)), [("0", content)])
    assert "where a number of numbers stands" in told(path)
    with_description(path, described((2, 2), (2, 1), key="1"), [("0", content)])
    assert "a.pt: not a file of torch.save" in told(path)


def test_damaged_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(build(NETWORK, 7, 0).state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "a.pt: not a file of torch.save" in told(path)
    place = whole.index(build(NETWORK, 7, 0).state_dict()["fc.weight"].numpy().tobytes())
    path.write_bytes(whole[:place] + b"\x01" + whole[place + 1 :])
    assert "fc.weight" in told(path) and "CRC" in told(path)
    path.write_bytes(b"<html>")
    assert "it begins with" in told(path)
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    assert "a scripted network" in told(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\0" * 10**7)
    assert "is packed" in told(path)
    torch.save(build(NETWORK, 7, 0).state_dict(), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-1])
    assert "it ends before its numbers do" in told(path)


def test_dictionaries_that_hold_themselves_are_refused(tmp_path):
    state = {"a": torch.ones(2)}
    state["state_dict"] = state
    torch.save(state, tmp_path / "a.pt")
    assert "hold themselves" in told(tmp_path / "a.pt")


def inert(content, size=None):
    """What the reader of pickles makes of bytes, with nothing outside."""
    file = io.BytesIO(content)
    return read_pickle(LimitedFile(file, size or len(content)), lambda *_: NOT_KNOWN, lambda value: ("outside", value))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_is_read_as_python_reads_it(protocol):
    value = {"a": [1, -2.5, None, True, 2**80], ("b", 1): {"x", "y"}, "ü": b"\0\xff", 3: [[], (), {}]}
    assert inert(pickle.dumps(value, protocol)) == value or protocol < 4
    plain = {"a": [1, -2.5, None, True, 2**80, "ü"], ("b", 1): [[], (), {}]}
    assert inert(pickle.dumps(plain, protocol)) == plain


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_are_kept_as_names_and_arguments(protocol, tmp_path):
    found = inert(pickle.dumps([Runs(tmp_path / "made"), datetime.timedelta(3), os.getcwd], protocol))
    assert isinstance(found[0], Inert) and found[0].name == f"{os.mkdir.__module__}.mkdir"
    assert found[0].arguments == (str(tmp_path / "made"),) and not (tmp_path / "made").exists()
    assert found[1].name == "datetime.timedelta" and isinstance(found[2], Named)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "1 bytes are stated"),
        (b"\x80\x02]", "1 bytes are stated"),
        (b"\x80\x02.", "missing"),
        (b"\x80\x02t.", "mark"),
        (b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f", "stated|expected"),
        (b"\x80\x05\x96" + b"\xff" * 6 + b"\0\0", "stated|expected"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"P1\n.", "PERSID"),
        (b"\x80\x02}]]s.", "unhashable"),
        (b"\x80\x02h\x05.", "5"),
        (b"]" + b"2" * 2000 + b".", "operations"),
    ],
)
def test_damaged_pickles_and_traps_end_with_an_error(content, said, monkeypatch):
    monkeypatch.setattr("neuroscaling.core.inert_pickle.MOST_OPERATIONS", 1000)
    with pytest.raises((ValueError, TypeError, KeyError), match=said):
        inert(content)


def test_the_number_that_begins_old_files_is_torchs():
    written = io.BytesIO()
    torch.save({}, written, _use_new_zipfile_serialization=False)
    assert pickle.loads(written.getvalue()) == MAGIC
