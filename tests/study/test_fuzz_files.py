"""Study, fit and recipe files that were changed at random: a result or a NeuroscalingError, in no time."""

import copy
import json
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.study import wanted
from neuroscaling.study.layer_choice import choice_problems
from neuroscaling.study.loaded_study import read_study
from neuroscaling.study.recipes import load_recipe
from neuroscaling.study.sections.fit_files import expand_fits, load_fit_file

CONFIG = Path(__file__).parents[2] / "config"
SECONDS = 60  # of the processor for one file, which takes some thousandths of one
N = 40
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 3, 10**30, 2**64, 1.0, 0.5, -2.5, 1e300, float("inf"), float("nan"), "", " ", "all",
    "yes", "010", "1:30", "3", "1_000", "a/b", "../x", "$HOME", "$NO_SUCH", "${A:-b}", "~/x", "é", "²", "a\0b",
    "x" * 5000, ".", "/", "/dev/null", [], [[]], [None], [1, "a"], {}, {"a": 1}, {"min": 3}, {"not": []}, {1: 2},
    "`", "a:b@²", "resnetflexfilters-f-1-16-20-9999999999", "{0..99999999}.tar", "*", "a.b:c", "validation",
]  # fmt: skip
SCRAPS = [
    "\t",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!int ",
    "!x ",
    "<<: ",
    "'",
    '"',
    "|\n",
    ">",
    "%",
    "#",
    "\n",
    "---\n",
    "?",
    "\x00",
    "é",
    "0",
]


def places(value: Any, place: tuple = ()) -> Iterator[tuple]:
    """Every place in a tree."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*place, key))


def mutated(tree: Any, rng: random.Random) -> Any:
    """The tree with one to three values replaced, removed, doubled or renamed."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.randint(1, 3)):
        place = rng.choice([place for place in places(tree) if place])
        inner = tree
        for key in place[:-1]:
            inner = inner[key]
        key, what = place[-1], rng.randrange(6)
        if what == 0:
            del inner[key]
        elif what == 1 and isinstance(inner, dict):
            inner[str(key) + rng.choice("sx_")] = inner.pop(key)
        elif what == 2 and isinstance(inner, list):
            inner.insert(0, copy.deepcopy(inner[key]))
        elif what == 3:
            inner[key] = [inner[key]]
        else:
            inner[key] = copy.deepcopy(rng.choice(VALUES))
        if not any(place for place in places(tree)):
            break
    return tree


def torn(text: str, rng: random.Random) -> str:
    """The text with a piece cut out, doubled or replaced by a scrap of YAML."""
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice((0, 0, 1, 3, 20)))
        text = text[:start] + rng.choice([*SCRAPS, text[start:end] * 2, ""]) + text[end:]
    return text


@contextmanager
def limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise AssertionError(f"no answer in {SECONDS} seconds")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _study(path: Path) -> None:
    reading = read_study(path)
    study = reading.study
    if not reading.problems and study is not None and not list(choice_problems(study)):  # as the Snakefile goes on
        assert list(wanted.Targets(study).all_paths())
        json.dumps([job.settings for job in study.fits.values()], allow_nan=False)
    texts = "\n".join(str(problem) for problem in reading.problems)
    for raw in ("Input should", "valid dictionary", "pydantic", "List should", "String should"):
        assert raw not in texts, texts


def _fits(path: Path) -> None:
    json.dumps([job.settings for job in expand_fits(load_fit_file(path))], allow_nan=False)


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "studies": ("demo published encoding-small v4 ladder", _study),
    "fits": ("demo neuro v4", _fits),
    "recipes": ("digits digits_dino deit300 sgd100", lambda path: load_recipe(str(path))),
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("how", ["tree", "text"])
def test_every_change_is_read_or_refused_in_words(kind, how, tmp_path, monkeypatch):
    names, read = READERS[kind]
    rng = random.Random(f"{kind} {how}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEUROSCALING_STORE", "store")
    path = tmp_path / "changed.yaml"
    for n in range(N):
        text = (CONFIG / kind / f"{rng.choice(names.split())}.yaml").read_text()
        if how == "tree":
            text = yaml.safe_dump(mutated(yaml.safe_load(text), rng), sort_keys=False, allow_unicode=True)
        else:
            text = torn(text, rng)
        path.write_text(text, encoding="utf-8")
        try:
            with limited():
                read(path)
        except NeuroscalingError as error:
            assert error.problems and all(problem.what for problem in error.problems)
        except Exception as error:
            raise AssertionError(f"{n}: {type(error).__name__}: {error}\n{text}") from error
