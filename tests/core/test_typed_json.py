"""What a driver hands to its jobs comes out as it went in, and nothing else can come out."""

import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.typed_json import Recorded, from_text, is_plain, to_text
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.study.recipes import load_recipe
from neuroscaling.study.run_table import Run

PLAIN = {
    "b": [1, 2.5, None, True, "{x}"],
    "a": {"z": (1, "two"), "y": Path("a/b c")},
    3: frozenset({"q"}),
    "nothing": {},
}


def a_run() -> Run:
    """A run with all that one may hold: data classes, a model of pydantic, nested dicts."""
    recipe = load_recipe("digits")
    settings = DatasetSettings(format="digits")
    return Run("run-1", "trained", "resnet_w8", "resnet", "digits", settings, "0" * 8, recipe=recipe, definition=PLAIN)


@pytest.mark.parametrize("value", [PLAIN, "text", 7, [], (), {"x": [{"y": ({"z": 0.1},)}]}])
def test_what_json_nearly_knows_keeps_types_and_order(value):
    found = from_text(to_text(value))
    assert found == value and repr(found) == repr(value)


def test_typed_objects_are_the_same_again():
    run = a_run()
    assert from_text(to_text([run, run])) == [run, run]
    assert from_text(to_text(run)) != replace(run, seed=1)


def test_what_is_recorded_looks_like_itself_and_is_made_where_it_is_unpickled():
    run = a_run()
    recorded = Recorded(to_text([run]), "[run-1]")
    assert repr(recorded) == str(recorded) == "[run-1]"
    assert pickle.loads(pickle.dumps(recorded, protocol=4)) == [run]


def test_only_typed_objects_are_left_to_the_script():
    assert is_plain(PLAIN | {3: None}) and not is_plain([a_run()]) and not is_plain({"x": (DatasetSettings("a"),)})


@dataclass(frozen=True)
class Foreign:
    """A class that is not of this package."""

    x: int


@pytest.mark.parametrize(
    "text",
    [
        to_text(Foreign(1)),
        '{"os:system":{"command":"true"}}',
        '{"neuroscaling.core.files:write_json":{"path":"x","value":1}}',
        '{"neuroscaling.study.run_table:Run":{"runn":"x"}}',
        '{"neuroscaling.study.run_table:Gone":{}}',
        '{"neuroscaling.gone:Run":{}}',
        '{"path":"a","tuple":[]}',
        "[",
    ],
)
def test_nothing_but_classes_of_this_version_is_made(text):
    with pytest.raises(DataError, match="another version"):
        from_text(text)


def test_what_is_no_value_is_refused_when_it_is_written():
    with pytest.raises(TypeError, match="can't be recorded"):
        to_text({"x": object()})
