"""The notebooks of the documentation run as they stand, and are stored without what they printed.

`reading_a_study.ipynb` runs in tests/encoding/test_planted_arrays.py, where a study is made.
"""

from pathlib import Path

import nbformat
import pytest

from tests.support.notebooks import NOTEBOOKS, run_notebook

ALL = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs_and_named_in_the_documentation(path: Path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert cells and not any(cell.outputs or cell.execution_count for cell in cells)
    assert f"notebooks/{path.name}" in (NOTEBOOKS.parent / "api.md").read_text()


def test_laws_of_a_table_run():
    said = run_notebook("laws_from_a_table")
    assert "3 laws by region" in said and "saturates at 0.649" in said and "IT: no law" not in said


def test_the_alignment_with_real_v4_runs(v4_dir: Path, monkeypatch: pytest.MonkeyPatch):
    if not (v4_dir / "responses_raw/responses_210325.npy").is_file():
        pytest.skip("no data: the folder of V4 recordings lacks the raw repetitions of the session 210325")
    monkeypatch.setenv("NEUROSCALING_V4_DIR", str(v4_dir.absolute()))
    said = run_notebook("alignment_with_v4")
    assert "Score: ridge, 5 folds held out in turn, 200 stimuli" in said
    scores = {line.split()[0]: float(line.split()[1]) for line in said.splitlines() if line.startswith(("tr", "untr"))}
    assert scores["trained"] > 2 * scores["untrained"] > 0.1
