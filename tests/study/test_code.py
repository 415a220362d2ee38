"""The fingerprint of code: comments don't count, formulas do, also those of modules behind modules."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from neuroscaling.study import code_fingerprints

SOURCE = {
    "__init__.py": '"""Package."""\n',
    "core/errors.py": "class E(Exception): pass\n",
    "a.py": '"""A."""\nfrom neuroscaling.sub import b\nfrom neuroscaling.core.errors import E\n'
    '\ndef f(x):\n    """Doc."""\n    return b.g(x)\n',
    "sub/__init__.py": "",
    "sub/b.py": "def g(x):\n    from neuroscaling.sub.c import h\n    return h(x)\n",
    "sub/c.py": "def h(x):\n    return x + 1\n",
    "other.py": "VALUE = 1\n",
}


def interpreter(version):
    """A Python of that version, of pyenv or on the PATH, that has what reading code needs; None where there is none."""
    places = [*sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/python")), shutil.which(f"python{version}")]
    return next((str(place) for place in places if place), None)


@pytest.fixture
def fingerprint(tmp_path, monkeypatch):
    for name, text in SOURCE.items():
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_text(text)
    script = tmp_path / "script.py"
    script.write_text("from neuroscaling.a import f\nf(1)\n")
    monkeypatch.setattr(code_fingerprints, "SOURCE", tmp_path / "p")

    def take(**edits):
        copy = tmp_path / f"copy{len(list(tmp_path.iterdir()))}"
        shutil.copytree(tmp_path / "p", copy)
        for name, (old, new) in edits.items():
            path = copy / (name.replace("__", "/") + ".py")
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))
        monkeypatch.setattr(code_fingerprints, "SOURCE", copy)
        code_fingerprints._files.cache_clear()
        return code_fingerprints.code_fingerprint(script)

    take.script = script
    yield take
    code_fingerprints._files.cache_clear()


def test_comments_docstrings_and_layout_do_not_count(fingerprint):
    before = fingerprint()
    assert fingerprint(a=('"""Doc."""', '"""Other."""')) == before
    assert fingerprint(a=('"""A."""', '"""B."""\n\n# comment')) == before
    assert fingerprint(sub__c=("x + 1", "(x  +  1)  # more")) == before


@pytest.mark.parametrize(
    "edit", [{"a": ("b.g(x)", "b.g(x) * 2")}, {"sub__b": ("h(x)", "h(2 * x)")}, {"sub__c": ("+ 1", "+ 2")}]
)
def test_a_changed_formula_counts_wherever_it_is_imported_from(fingerprint, edit):
    assert fingerprint(**edit) != fingerprint()


def test_modules_that_are_not_imported_or_only_report_do_not_count(fingerprint):
    before = fingerprint()
    assert fingerprint(other=("1", "2")) == before
    assert fingerprint(core__errors=("pass", "x = 1")) == before


def test_the_parts_of_a_fingerprint_tell_which_module_changed(fingerprint):
    fingerprint()
    before = code_fingerprints.code_parts(fingerprint.script)
    assert set(before) == {"script", "a.py", "sub/b.py", "sub/c.py", "sub/__init__.py"}
    fingerprint(sub__c=("+ 1", "+ 2"))
    after = code_fingerprints.code_parts(fingerprint.script)
    assert [name for name in before if before[name] != after[name]] == ["sub/c.py"]


def test_the_script_itself_counts(fingerprint):
    before = fingerprint()
    Path(fingerprint.script).write_text("from neuroscaling.a import f\nf(2)\n")
    assert fingerprint() != before


# What versions of Python write differently: empty fields, texts beside each other in f-strings, characters that one of
# them does not know yet.
ODDITIES = """
def f(a, /, b: "int" = 1, *c, d=None, **e) -> None:
    '''Doc.'''
    x = f"{a!r:>{b}}" "tail" f"{b:}" u"z" "\U0001fae8"
    match a:
        case {"k": [1.5, None], **rest} if rest:
            return (yield {**e, "s": -0.0, b"x": 1e300})
    async def g(): return [i async for i in a if i]
class C(object, metaclass=type):
    '''Doc alone.'''
    n: int
    del a[1:2, ...]
"""
DIGEST = "d800f8cafc8441f7411033d8ffea5a9b26e5d9e42b73a5049ac84a3ce81b7b4b"
OTHERS = [found for version in ("3.12", "3.13", "3.14") if (found := interpreter(version))]


def test_a_tree_has_one_digest_in_every_python(tmp_path, kept):
    (tmp_path / "m.py").write_text(ODDITIES, encoding="utf-8")
    assert code_fingerprints.read_syntax([tmp_path / "m.py"])[0].digest == DIGEST


@pytest.mark.skipif(not OTHERS, reason="no newer Python on this machine")
def test_another_python_gives_the_same_fingerprint_of_a_script():
    script = Path(code_fingerprints.SOURCE).parents[1] / "workflow" / "scripts" / "train.py"
    said = (
        "import sys; from neuroscaling.study.code_fingerprints import code_fingerprint;"
        "print(code_fingerprint(sys.argv[1]))"
    )
    environment = {"PYTHONPATH": str(Path(code_fingerprints.SOURCE).parent), "PYTHONDONTWRITEBYTECODE": "1"}
    for python in OTHERS:
        command = [python, "-c", said, script]
        other = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert other.stdout.strip() == code_fingerprints.code_fingerprint(script)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The file in which parsed sources are kept, and a function that forgets what this process has read of it."""
    monkeypatch.setattr(code_fingerprints, "KEPT", tmp_path / "cache" / "syntax.json")
    code_fingerprints._kept.cache_clear()
    yield code_fingerprints.KEPT
    code_fingerprints._kept.cache_clear()


def test_what_was_parsed_is_kept_for_the_next_process(tmp_path, kept):
    (tmp_path / "m.py").write_text("from neuroscaling.a import f\n")
    first = code_fingerprints.read_syntax([tmp_path / "m.py"])
    (key,) = json.loads(kept.read_text())["files"]
    kept.write_text(kept.read_text().replace(first[0].digest, "as kept"))
    code_fingerprints._kept.cache_clear()
    assert code_fingerprints.read_syntax([tmp_path / "m.py"])[0].digest == "as kept"
    (tmp_path / "m.py").write_text("from neuroscaling.a import g\n")
    assert code_fingerprints.read_syntax([tmp_path / "m.py"])[0].imports == ["neuroscaling.a", "neuroscaling.a.g"]
    assert key in json.loads(kept.read_text())["files"]


@pytest.mark.parametrize("damaged", ["", "{", '{"reader": "another version", "files": {}}'])
def test_what_is_kept_may_be_damaged_or_of_another_version(tmp_path, kept, damaged):
    (tmp_path / "m.py").write_text("x = 1\n")
    whole = code_fingerprints.read_syntax([tmp_path / "m.py"])
    kept.write_text(damaged)
    code_fingerprints._kept.cache_clear()
    assert code_fingerprints.read_syntax([tmp_path / "m.py"]) == whole


def test_an_installation_that_cannot_be_written_to_is_parsed_each_time(tmp_path, kept):
    (tmp_path / "m.py").write_text("x = 1\n")
    kept.parent.write_text("a file where the folder would be")
    assert code_fingerprints.read_syntax([tmp_path / "m.py"])[0].digest


def test_a_damaged_file_of_kept_syntax_is_no_matter(tmp_path, monkeypatch):
    expected = code_fingerprints.code_fingerprint(__file__)
    for content in (
        "",
        "[]",
        "{}",
        '{"reader": 3}',
        f'{{"reader": "{code_fingerprints._reader()}", "files": {{"a": 3}}}}',
    ):
        (tmp_path / "kept.json").write_text(content)
        monkeypatch.setattr(code_fingerprints, "KEPT", tmp_path / "kept.json")
        code_fingerprints._kept.cache_clear()
        assert code_fingerprints.code_fingerprint(__file__) == expected
    code_fingerprints._kept.cache_clear()
