"""The code of a start is copied once for each content, and the copy is what is imported."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neuroscaling.core import frozen_code
from neuroscaling.core.errors import DataError

PLUGIN = "src/snakemake_executor_plugin_neuroscaling_slurm/__init__.py"
ASK = """
import sys
from pathlib import Path
from neuroscaling.core import frozen_code, installation
copy = frozen_code.freeze(Path("copies"))
frozen_code.import_from(copy)
from neuroscaling.core import frozen_code, installation, provenance
assert installation.PACKAGE == copy / "src/neuroscaling", installation.PACKAGE
assert frozen_code.freeze(Path("elsewhere")) == copy and not Path("elsewhere").exists()
print(copy.name, installation.PIPELINE, provenance.git_revision())
"""


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A small checkout: the rooms that the test imports, and a few files of the pipeline."""
    root = tmp_path / "checkout"
    source = Path(frozen_code.__file__).parents[1]
    (root / "src/neuroscaling").mkdir(parents=True)
    shutil.copytree(source / "core", root / "src/neuroscaling/core", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(source / "__init__.py", root / "src/neuroscaling")
    for name in (
        "Snakefile",
        "workflow/rules/a.smk",
        "envs/main.yaml",
        "config/config.yaml",
        "config/studies/x.yaml",
        PLUGIN,
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def ask(checkout: Path, folder: Path, **variables: str) -> tuple[str, str, str]:
    """Name of the copy, folder of the pipeline and revision, as a process that freezes the checkout has them."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": ""} | variables
    done = subprocess.run([sys.executable, "-c", ASK], cwd=folder, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    name, pipeline, revision = done.stdout.split()
    return name, pipeline, revision


def test_a_start_runs_its_copy_and_an_edit_is_for_the_next(checkout, tmp_path):
    name, pipeline, revision = ask(checkout, tmp_path)
    copy = tmp_path / "copies" / name
    assert pipeline == str(checkout) and revision == "None"
    assert (copy / "workflow/rules/a.smk").read_text() == "workflow/rules/a.smk"
    assert (copy / PLUGIN).read_text() == PLUGIN, "each Snakemake imports it"
    assert not (copy / "config/studies").exists(), "what a study names is read where it is"
    assert json.loads((copy / "frozen.json").read_text())["format"] == frozen_code.FORMAT

    assert ask(checkout, tmp_path)[0] == name, "equal code shares a copy"
    (checkout / "workflow/rules/a.smk").write_text("edited")
    edited = ask(checkout, tmp_path)[0]
    assert edited != name and (tmp_path / "copies" / edited / "workflow/rules/a.smk").read_text() == "edited"
    assert (copy / "workflow/rules/a.smk").read_text() == "workflow/rules/a.smk"
    assert sorted(path.name for path in (tmp_path / "copies").iterdir()) == sorted([name, edited]), "nothing half made"


def test_of_two_starts_at_once_the_copy_of_the_faster_stays(tmp_path, monkeypatch):
    """Its jobs import from there: nothing takes its place, not for a moment either."""
    write, faster = frozen_code._write, []

    def write_second(*arguments):
        if not faster:
            faster.append(None)
            faster.append(frozen_code.freeze(tmp_path).stat().st_ino)
        write(*arguments)

    monkeypatch.setattr(frozen_code, "_write", write_second)
    copy = frozen_code.freeze(tmp_path)
    assert copy.stat().st_ino == faster[1] and list(tmp_path.iterdir()) == [copy]


def test_files_that_vanish_while_they_are_copied_are_left_out(checkout, tmp_path):
    """Bytecode that another process is writing, and what an editor writes for a moment: listed, and gone when read."""
    core = checkout / "src/neuroscaling/core"
    (core / "__pycache__").mkdir()
    compiled = ("leases.cpython-311.pyc.140223", "gone.cpython-311.pyc", ".kept.1.partial")
    for name in ("4913", *(f"__pycache__/{name}" for name in compiled)):
        (core / name).symlink_to("nothing")
    name, *_ = ask(checkout, tmp_path)
    copied = tmp_path / "copies" / name / "src/neuroscaling/core"
    assert (copied / "leases.py").is_file() and not (copied / "4913").exists()
    assert all(path.suffix == ".pyc" for path in (copied / "__pycache__").iterdir())


def test_a_copy_has_bytecode_also_where_python_is_told_to_write_none(checkout, tmp_path):
    """Jobs import modules that the driver does not, and would compile them at each start."""
    name, *_ = ask(checkout, tmp_path, PYTHONDONTWRITEBYTECODE="1")
    source = tmp_path / "copies" / name / "src/neuroscaling/core"
    compiled = {path.name.partition(".")[0] for path in (source / "__pycache__").glob("*.pyc")}
    assert compiled == {path.stem for path in source.glob("*.py")}
    assert not list((checkout / "src").rglob("*.pyc"))


def test_the_latest_copies_stay_and_the_one_in_use_whatever_its_age(tmp_path):
    for age in range(9):
        (tmp_path / f"c{age}").mkdir()
        os.utime(tmp_path / f"c{age}", (1000 - age, 1000 - age))
    frozen_code.sweep(tmp_path, tmp_path / "c8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c0", "c1", "c2", "c3", "c8"]


def test_a_folder_that_takes_no_copy_is_named(tmp_path):
    (tmp_path / "copies").write_text("a file")
    with pytest.raises(DataError, match="copies"):
        frozen_code.freeze(tmp_path / "copies", tmp_path)
