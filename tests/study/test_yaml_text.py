"""YAML 1.2: what a value without quotes is, keys that are there twice, and texts that have no end."""

import math

import pytest

from neuroscaling.study.sections.yaml_document import YamlSyntaxError, load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("1:30", "1:30"), ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"), ("true", True),
        ("False", False), ("~", None), ("null", None), ("10", 10), ("-3", -3), ("0o10", 8), ("0x1f", 31),
        ("1e-3", 1e-3), ("1.0", 1.0), (".5", 0.5), ("3.", 3.0), ("1E5", 1e5), ("-.inf", -math.inf), ("'3'", "3"),
        ('"true"', "true"), ("!!str 3", "3"), ("!!int '3'", 3), ("0", 0), ("0.5", 0.5),
    ],
)  # fmt: skip
def test_values_are_those_of_yaml_1_2(text, value):
    found = load_yaml(f"a: {text}")
    assert found.value == {"a": value} and type(found.value["a"]) is type(value) and not found.faults


def test_a_directive_does_not_bring_yaml_1_1_back():
    assert load_yaml("%YAML 1.1\n---\na: [yes, 1:30]").value == {"a": ["yes", "1:30"]}


@pytest.mark.parametrize(
    ("text", "octal", "decimal"), [("010", "8 in YAML 1.1", "write 10"), ("-07", "-7", "write -7")]
)
def test_a_number_that_begins_with_0_is_refused(text, octal, decimal):
    (fault,) = load_yaml(f"- [1, {text}]").faults
    assert fault.location == (0, 1) and octal in fault.problem.what and decimal in fault.problem.fix


def test_every_value_has_its_line():
    found = load_yaml("a:\n  - x\n  - {b: 1,\n     c: 2}\n")
    assert found.lines[("a", 1, "c")] == 4 and found.lines[("a", 0)] == 2 and found.lines[("a",)] == 1


def test_a_key_that_is_there_twice_is_a_fault_and_the_first_counts():
    found = load_yaml("a: 1\nb: 2\na: 3\n")
    (fault,) = found.faults
    assert found.value == {"a": 1, "b": 2} and fault.line == 3 and "first in line 1" in fault.problem.what


def test_merged_mappings_give_way():
    found = load_yaml(
        "- &x {a: 1, b: 2}\n- {<<: *x, b: 3}\n- {<<: [{c: 1}, *x, {a: 9}], d: 4}\n- {<<: {<<: *x, a: 5}}\n"
    )
    assert (
        found.value[1:] == [{"a": 1, "b": 3}, {"a": 1, "b": 2, "c": 1, "d": 4}, {"a": 5, "b": 2}] and not found.faults
    )


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (BOMB, "more than 50,000 values"),
        ("a: &a [*a]", "inside of what it stands for"),
        ("&a {<<: *a}", "inside of what it stands for"),
        ("[" * 100 + "]" * 100, "nested deeper"),
        ("[" * 5000, "nested deeper"),
        ("{a: " * 100 + "1" + "}" * 100, "nested deeper"),
        ("{[a]: b}", "a key is a text"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: [\n", "expected the node content"),
        ("<<: 3", "takes a mapping"),
        ("%", "expected"),
        ("a: *b", "undefined alias"),
    ],
)
def test_what_has_no_end_or_is_no_yaml_is_refused(text, what):
    with pytest.raises(YamlSyntaxError, match=what):
        load_yaml(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("9" * 5000, "5,000 digits"),
        ('"\\0"', "can't be printed"),
        ("!!python/object:os.system x", "no|tag"),
        ("!a x", "tag"),
    ],
)
def test_values_that_nothing_could_use_are_faults(text, what):
    (fault,) = load_yaml(f"a: {text}").faults
    assert fault.location == ("a",) and what.split("|")[-1] in fault.problem.what


def test_variables_are_read_as_what_stands_in_their_place():
    found = load_yaml("a: $N\nb: '$N'\nc: ${E}\nd: x$N", lambda text: (text.replace("$N", "3").replace("${E}", ""), []))
    assert found.value == {"a": 3, "b": "3", "c": "", "d": "x3"}
