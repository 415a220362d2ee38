"""pip installs the pipeline with the library: it runs from a clean environment, and as a module from a URL."""

import json
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.clean_install import build, clean_environment, install
from tests.support.doc_blocks import ROOT, blocks
from tests.workflow.conftest import jobs
from tests.workflow.test_own_table import write_rows

pytestmark = pytest.mark.workflow
INSIDE = "neuroscaling/pipeline"
PARTS = ("Snakefile", "workflow", "config", "profiles", "envs")


class User:
    """Somebody with the wheel and a working directory, and without a checkout. python: of their environment."""

    def __init__(self, python: Path, folder: Path):
        self.python, self.folder = python, folder

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """What a module of the environment says, such as `snakemake -n`; both streams in `stdout`."""
        return subprocess.run(
            [self.python, "-m", *arguments],
            cwd=self.folder,
            env=clean_environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=800,
        )

    def neuroscaling(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """What the command says; both streams in `stdout`."""
        return self.run("neuroscaling.cli.main", *arguments)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """The sdist and the wheel."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def user(built, tmp_path_factory) -> User:
    """A user of the wheel with base dependencies alone."""
    folder = tmp_path_factory.mktemp("user")
    python = install(built[1], folder / "environment")
    (folder / "work").mkdir()
    return User(python, folder / "work")


@pytest.fixture(scope="module")
def package(user) -> Path:
    """The folder that pip installed the package to."""
    (folder,) = user.python.parents[1].glob("lib/python*/site-packages/neuroscaling")
    return folder


def tracked() -> set[str]:
    """Files of the pipeline in this checkout."""
    files = {file for part in PARTS for file in [ROOT / part, *(ROOT / part).rglob("*")] if file.is_file()}
    return {str(file.relative_to(ROOT)) for file in files if "__pycache__" not in file.parts}


def test_the_wheel_of_the_sdist_holds_the_package_and_the_pipeline_and_nothing_else(built):
    sdist, wheel = built
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
        text = opened.read(next(name for name in opened.namelist() if name.endswith("METADATA"))).decode()
    pipeline = {name.removeprefix(f"{INSIDE}/") for name in names if name.startswith(f"{INSIDE}/")}
    assert pipeline == tracked() | {"library/neuroscaling/__init__.py"}
    packages = [ROOT / "src/neuroscaling", ROOT / "src/snakemake_executor_plugin_neuroscaling_slurm"]
    files = (file for package in packages for file in package.rglob("*") if file.is_file())
    source = {str(file.relative_to(ROOT / "src")) for file in files}
    assert names - {f"{INSIDE}/{name}" for name in pipeline} == {name for name in source if "__pycache__" not in name}
    for extra in ("train", "fmri", "brainscore", "report", "dev"):
        assert f"Provides-Extra: {extra}\n" in text
    with tarfile.open(sdist) as archive:
        assert not any("/tests/" in name or "/docs/" in name for name in archive.getnames())


def test_laws_from_a_table_with_what_the_wheel_asks_for_alone(user, package):
    _, study, fits, _ = blocks(ROOT / "docs/score-tables.md")[:4]
    (user.folder / "mine.yaml").write_text(study.text)
    (user.folder / "fits.yaml").write_text(fits.text)
    write_rows(user.folder / "table.csv")
    law = "results/mine/fits/size.json"
    done = user.neuroscaling("run", "mine.yaml", "--cores", "1", law)
    assert done.returncode == 0, done.stdout[-3000:]
    record = json.loads((user.folder / law).read_text())
    assert record["params"]["alpha"] == pytest.approx(0.2, abs=0.05)
    code = "import neuroscaling.report.page, altair, jinja2, matplotlib, vl_convert"
    subprocess.run([user.python, "-c", code], check=True, env=clean_environment())
    assert str(package) in done.stdout and str(ROOT) not in done.stdout, "it runs from the checkout"
    assert "mine: 3 jobs done" in done.stdout and "There is no report yet." in done.stdout


def test_the_demo_is_planned_from_the_wheel(user, package):
    snakefile = package / "pipeline/Snakefile"
    planned = user.run("snakemake", "-n", "-s", snakefile, "--cores", "1", "--config", "study=config/studies/demo.yaml")
    assert planned.returncode == 0 and jobs(planned.stdout)["subset"] == 1, planned.stdout[-3000:]


def test_the_command_copies_the_slurm_profile_to_edit(user):
    command = [user.python.with_name("neuroscaling"), "init", "--profile", "slurm"]
    done = subprocess.run(command, cwd=user.folder, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = {Path(line).relative_to("profiles/slurm").name for line in done.stdout.splitlines()}
    assert written == {path.name for path in (ROOT / "profiles/slurm").iterdir()}
    assert all((user.folder / line).is_file() for line in done.stdout.splitlines())


def test_a_missing_extra_is_named_and_how_to_get_it(user):
    done = user.neuroscaling("plan", "config/studies/demo.yaml")
    assert done.returncode == 1 and "`torch`" in done.stdout and "Traceback" not in done.stdout
    assert 'pip install "neuroscaling[train]"' in done.stdout


def test_another_environment_imports_the_library_and_nothing_beside_it(user, package, tmp_path):
    code = (
        "import sys, neuroscaling.regression.scores as scores, neuroscaling, numpy\n"
        "print(scores.__file__, neuroscaling.__version__, numpy.__file__, sep='\\n')"
    )
    environment = clean_environment() | {"PYTHONPATH": str(package / "pipeline/library")}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    scores, version, numpy = done.stdout.split()
    assert scores == str(package / "regression/scores.py") and version
    assert Path(numpy).is_relative_to(sys.prefix)


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a line for each file."""

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path):
    """The workflow as a web server has it, and the server's address."""
    site = tmp_path / "site"
    for part in ("workflow", "config", "envs"):
        shutil.copytree(ROOT / part, site / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", site)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield site, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_module_by_url_has_its_jobs_and_is_refused_where_the_versions_differ(user, served, monkeypatch):
    site, address = served
    (outer,) = [block for block in blocks(ROOT / "docs/installing.md") if block.language == "snakemake"]
    text = outer.text.replace("https://example.org/neuroscaling", address).replace(
        "mine.yaml", "config/studies/demo.yaml"
    )
    (user.folder / "Outer").write_text(text.replace("results/mine", "results/demo"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(site.parent / "cache"))
    options = ("snakemake", "--dry-run", "--snakefile", "Outer", "--cores", "1")
    planned = user.run(*options)
    plan = jobs(planned.stdout)
    assert plan["neuroscaling_subset"] == 1 and plan["all"] == 1, planned.stdout[-3000:]
    with (site / "workflow/scripts/fit.py").open("a") as script:
        script.write("# of another version\n")
    refused = user.run(*options)
    assert refused.returncode != 0 and "different versions: ../scripts/fit.py" in refused.stdout
