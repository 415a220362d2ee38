"""The fingerprint of code: comments don't count, formulas do, also those of modules behind modules."""

import shutil
from pathlib import Path

import pytest

from neuroscaling import code

SOURCE = {
    "__init__.py": '"""Package."""\n',
    "errors.py": "class E(Exception): pass\n",
    "a.py": '"""A."""\nfrom neuroscaling.sub import b\nfrom neuroscaling.errors import E\n'
    '\ndef f(x):\n    """Doc."""\n    return b.g(x)\n',
    "sub/__init__.py": "",
    "sub/b.py": "def g(x):\n    from neuroscaling.sub.c import h\n    return h(x)\n",
    "sub/c.py": "def h(x):\n    return x + 1\n",
    "other.py": "VALUE = 1\n",
}


@pytest.fixture
def fingerprint(tmp_path, monkeypatch):
    for name, text in SOURCE.items():
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_text(text)
    script = tmp_path / "script.py"
    script.write_text("from neuroscaling.a import f\nf(1)\n")
    monkeypatch.setattr(code, "SOURCE", tmp_path / "p")

    def take(**edits):
        copy = tmp_path / f"copy{len(list(tmp_path.iterdir()))}"
        shutil.copytree(tmp_path / "p", copy)
        for name, (old, new) in edits.items():
            path = copy / (name.replace("__", "/") + ".py")
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))
        monkeypatch.setattr(code, "SOURCE", copy)
        code._parsed.cache_clear()
        code._files.cache_clear()
        return code.code_fingerprint(script)

    take.script = script
    return take


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
    assert fingerprint(errors=("pass", "x = 1")) == before


def test_the_script_itself_counts(fingerprint):
    before = fingerprint()
    Path(fingerprint.script).write_text("from neuroscaling.a import f\nf(2)\n")
    assert fingerprint() != before
