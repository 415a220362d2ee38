"""The workflow used as a module from another repository."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT, SMALL, Workdir, jobs, make_workdir

pytestmark = pytest.mark.workflow

OUTER = """
module neuroscaling:
    snakefile: "{snakefile}"
    config: {{"study": "small.yaml"}}

use rule * from neuroscaling as neuroscaling_*

rule everything:
    default_target: True
    input: "results/small/report/index.html"
"""


@pytest.mark.parametrize("entry", ["Snakefile", "workflow/Snakefile"])
def test_module_of_another_workflow(tmp_path, entry):
    outer = make_workdir(tmp_path / "outer")
    for part in ("Snakefile", "workflow", "src", "config", "envs", "profiles"):
        shutil.rmtree(outer.path / part) if (outer.path / part).is_dir() else (outer.path / part).unlink()
    (outer.path / "Snakefile").write_text(OUTER.format(snakefile=ROOT / entry))
    outer.write_study(SMALL)
    plan = Workdir(outer.path).planned(study=None)
    assert plan["neuroscaling_train"] == 3 and plan["neuroscaling_report"] == 1 and plan["everything"] == 1


def test_forwarder_has_the_same_jobs_as_the_root(tmp_path):
    work = make_workdir(tmp_path / "work")
    direct = work.planned()
    process = work.snakemake("--dry-run", "--snakefile", "workflow/Snakefile")
    assert jobs(process.stdout) == direct and direct["train"] == 3


def test_without_a_study_or_with_an_unknown_option_nothing_is_planned(tmp_path):
    work = make_workdir(tmp_path / "work")
    process = work.snakemake("--dry-run", "--config", "studdy=small.yaml", check=False, study=None)
    assert process.returncode != 0 and "no study is named" in process.stdout and "make demo" in process.stdout
    assert "nearest:  study" in process.stdout and not jobs(process.stdout)


def test_parsing_imports_no_heavy_library(tmp_path):
    """Nor does the command `neuroscaling`, of which each start takes one to check the study."""
    work = make_workdir(tmp_path / "work")
    code = (
        "import sys; sys.path.insert(0, 'src')\n"
        "from neuroscaling.study.loaded_study import load_study\nfrom neuroscaling.study.wanted import Targets\n"
        "study = load_study('small.yaml'); list(Targets(study).all_paths()); study.fits\n"
        "import neuroscaling.cli.main, neuroscaling.study.wanted_lists\n"
        "print(sorted({'torch', 'xarray', 'pandas', 'timm', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=work.path, text=True, capture_output=True)
    assert process.stdout.strip() == "[]", process.stdout + process.stderr
    assert Path(work.path / "small.yaml").exists()
