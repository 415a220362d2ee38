"""The documentation keeps its word: examples run, links lead somewhere, generated pages are in step."""

import argparse
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
import yaml
from jsonschema import Draft202012Validator

from neuroscaling.cli import main, results, schema
from neuroscaling.cli.command_reference import command_reference
from neuroscaling.core.files import write_json
from neuroscaling.laws.forms import FORMS
from neuroscaling.laws.influence import influence_content
from neuroscaling.laws.influence_record import Influence, influence_path
from neuroscaling.study.sections.claim_files import load_claim_file
from tests.cli.test_data_cli import small_tree
from tests.forecast.test_next_runs import planted_two
from tests.support.doc_blocks import PAGES, ROOT, blocks
from tests.support.finished_fits import completed
from tests.support.finished_studies import made_up_law, write_finished_study
from tests.support.own_arrays import write_images
from tests.support.planted_networks import Planted, planted_table
from tests.support.simulated_nsd import write_nsd_tree
from tests.support.small_plan import write_small
from tests.support.study_files import read_study_file

BLOCKS = [block for page in PAGES for block in blocks(page)]
OURS = ("neuroscaling",)
SNAKEMAKE = "snakemake"
# What a block may need that a test has not; each is tried by hand or by the tests that have it.
NEEDS = ("data", "gpu", "network", "slurm")
# Keys that a study must have, for blocks that print a part of one.
REST = {
    "study": "study: part",
    "store": "store: store",
    "datasets": "datasets: {digits: {format: digits}}",
    "runs": "runs: [{untrained: [resnet_w8]}]",
}


def write_scored(folder):
    """What docs/api.md reads: SIMULATED responses to the images, and scores and a law of the demo."""
    draw, names = np.random.default_rng(0), [f"{i:02d}.png" for i in range(24)]
    regions = ("neuroid", ["V1"] * 3 + ["IT"] * 3)
    responses = draw.normal(size=(24, 6, 1)) + draw.normal(size=(24, 6, 4))
    dims, coords = ("stimulus", "neuroid", "repetition"), {"stimulus": names, "region": regions}
    xr.DataArray(responses, dims=dims, coords=coords).to_netcdf(folder / "responses.nc")
    fit, resamples = planted_two()
    file = folder / "results/demo/fits/samples.IT.ResNet.json"
    write_json(file, completed(fit | {"name": file.stem}))
    resamples.to_parquet(file.with_suffix(".bootstraps.parquet"))
    planted_table(Planted(networks=3)).to_parquet(folder / "results/demo/scores.parquet")


def of(*languages):
    chosen = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", chosen, ids=str)


def variables(words):
    """The variables that a command line sets for its command, and the command."""
    rest = next((i for i, word in enumerate(words) if not re.match(r"\w+=", word)), len(words))
    return dict(word.split("=", 1) for word in words[:rest]), words[rest:]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A folder with what the pages speak of: a study, trees of SIMULATED fMRI, a finished fit, candidates."""
    folder = tmp_path_factory.mktemp("scratch")
    for name in ("config", "profiles"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("STUDY", "FILE", "mine.yaml"):
        (folder / name).write_text(write_small(folder).read_text())
    write_nsd_tree(folder / "simulated")
    (folder / "simulated/nsd").rename(folder / "NSD")
    (folder / "simulated/algonauts2023").rename(folder / "algonauts2023")
    small_tree(folder / "path/to/tree")
    fit, resamples = planted_two()
    resamples = resamples.assign(cost_exponent=1.0, cost_factor=6.0)
    of_study = [f"STUDY/fits/{name}" for name in ("NAME", "V1", "IT")]
    for name in (*of_study, "published/fits/compute_chinchilla.corrected"):
        file = folder / "results" / f"{name}.json"
        write_json(file, completed(fit | {"name": file.stem}))
        resamples.to_parquet(file.with_suffix(".bootstraps.parquet"))
        stands_on = Influence(name="made-up", fit="made-up", mode="corrected", status="judged", verdict="made up")
        write_json(influence_path(file), influence_content(stands_on))
    (folder / "runs.csv").write_text("n_params,n_samples_seen,label\n1e7,1e8,middle\n1e6,1e9,long\n")
    write_images(folder / "images", [f"{i:02d}.png" for i in range(24)], 32)
    write_scored(folder)
    for name in ("STUDY", "OTHER"):
        laws = [made_up_law("compute.IT", 0.4, "IT")]
        write_finished_study(folder / "results" / name, name, laws, planted_table(Planted(networks=3)))
    return folder


@of("python")
def test_python_runs_as_printed(block, scratch, monkeypatch):
    monkeypatch.chdir(scratch)
    names: dict = {}
    exec(compile(block.text, str(block), "exec"), names)
    if block.page.name == "laws.md":
        assert names["law"].params["alpha"] == pytest.approx(0.35, abs=1e-6)
    if block.page.name == "nsd.md":
        assert (scratch / "recordings/subj01/manifest.json").is_file() and names["recording"].training.stimulus_ids


@of("", "bash", "text")
def test_commands_run_as_printed_or_say_why_not(block, scratch, monkeypatch, capsys):
    """Those of `neuroscaling` in a scratch folder; others need a comment that says what they need or what runs them."""
    if block.language == "text" and not block.text.startswith("$ "):
        return
    monkeypatch.chdir(scratch)
    for words in [block.text[2:].split("\n")[0].split()] if block.language == "text" else block.commands:
        if block.marked(words):
            continue
        settings, (program, *arguments) = variables(words)
        assert program in OURS, f"{block}: put <!-- needs: ... --> or <!-- runs elsewhere: ... --> above `{program}`"
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        status = main.main(arguments)
        out, err = capsys.readouterr()
        assert status == 0, f"{block}: {err}"
        if block.language == "text":
            assert [line.rstrip() for line in out.splitlines()] == block.text.splitlines()[1:]


@of("", "bash")
def test_commands_that_run_elsewhere_are_commands(block, monkeypatch):
    """Targets of make, and options of snakemake and of `neuroscaling`, are there."""
    monkeypatch.chdir(ROOT)
    for settings, words in map(variables, block.commands):
        match words:
            case ["make", *targets]:
                subprocess.run(["make", "-n", *targets], check=True, capture_output=True)
            case [program, *arguments] if program in OURS:
                main.parsed(main._parser(), arguments)
            case [program, *arguments] if program == SNAKEMAKE:
                from snakemake.cli import parse_args

                parse_args(arguments)
            case [name, *_] if settings and not name:
                raise AssertionError(block)


def test_comments_above_blocks_name_what_there_is():
    markers = [(block, marker) for block in BLOCKS for marker in block.markers]
    assert len(markers) > 10
    for block, marker in markers:
        found = marker.what in NEEDS if marker.kind == "needs" else (ROOT / marker.what).is_file()
        assert found, f"{block}: {marker}"
        assert any(map(marker.is_of, block.commands)), f"{block}: no command has the word {marker.word}"
    comments = [line for page in PAGES for line in page.read_text().splitlines() if line.startswith("<!-- ")]
    comments = [line for line in comments if not re.match(r"<!-- (table:|end of table -->)", line)]
    assert len(comments) == len(markers), "a comment that is no marker, or above no block"


@of("yaml")
def test_yaml_is_a_study_or_a_part_of_one(block, tmp_path, monkeypatch):
    for name in set(re.findall(r"\$\{?(\w+)", block.text)):
        monkeypatch.setenv(name, "/data")
    content = yaml.safe_load(block.text)
    if any(isinstance(claim, dict) for claim in content.get("claims", [])):
        (tmp_path / "claims.yaml").write_text(block.text)
        assert load_claim_file(tmp_path / "claims.yaml").claims
        return
    keys = set(content)
    keys |= {"datasets", "runs"} if keys & {"scores", "published"} else set()  # they stand in place of both
    (tmp_path / "study.yaml").write_text("\n".join([block.text, *(REST[key] for key in REST.keys() - keys)]))
    read_study_file(tmp_path / "study.yaml")


@of("json")
def test_json_is_json(block):
    json.loads(block.text)


def test_no_block_has_a_language_that_is_not_looked_at():
    # tests/repository/test_wheel.py runs the Snakefile.
    assert {block.language for block in BLOCKS} == {"", "bash", "json", "python", "snakemake", "text", "yaml"}


def test_commands_in_sentences_exist():
    """`make study-NAME` and `neuroscaling COMMAND` between backticks."""
    subparsers = next(a for a in main._parser()._actions if isinstance(a, argparse._SubParsersAction))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    targets += [f"study-{file.stem}" for file in ROOT.glob("config/studies/*.yaml")] + ["study-NAME"]
    for page in (page for page in PAGES if page.name != "CHANGELOG.md"):
        text = page.read_text()
        for command in re.findall(r"`neuroscaling ([a-z-]+)", text):
            assert command in subparsers.choices, f"{page}: neuroscaling {command}"
        for target in re.findall(r"`make ([A-Za-z0-9-]+)", text):
            assert target in targets, f"{page}: make {target}"


def test_the_laws_page_lists_every_form():
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/laws.md").read_text(), re.M)
    assert sorted(listed) == sorted(FORMS)


MADE = [
    page for page in sorted(ROOT.glob("docs/results/*.md")) if results._outside_code(results.BEGIN, page.read_text())
]


@pytest.mark.parametrize("page", MADE, ids=lambda page: page.name)
def test_tables_of_results_are_what_their_commands_print(page, tmp_path, monkeypatch):
    """Each states its command and the files that it was made of. NEUROSCALING_RESULTS: the folder that has the results
    of `published`, `published-passes`, `v4`, `fashion` and `demo`, from which each is made again."""
    for table in results.tables_of(page, page.read_text()):
        main._parser().parse_args(table.command.split()[1:])
        made = rf"\| --- \|.*\n\*Made by `{re.escape(table.command)}`, of .* \((sha256|hash) [0-9a-f]{{12}}\)\.\*\n"
        assert re.search(made, table.text, re.S), f"{table.where}: `neuroscaling results page {page}` makes it"
    if folder := os.environ.get("NEUROSCALING_RESULTS"):
        (tmp_path / "results").symlink_to(folder)
        monkeypatch.chdir(tmp_path)
        assert main.main(["results", "page", str(page), "--check"]) == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_config_reference_is_in_step_with_the_definition():
    assert (ROOT / "config/README.md").read_text() == schema.study_reference(), "run `make schema`"
    for name in schema.SCHEMAS:
        assert (ROOT / "config" / name).read_text() == schema.json_schema(name), "run `make schema`"


@pytest.mark.parametrize("name", schema.SCHEMAS)
def test_shipped_files_name_their_schema_and_are_what_it_asks_for(name):
    """An editor reads the first line; what we ship must not be underlined in red there."""
    folder = name.removeprefix("schema-").removesuffix(".json") if "-" in name else "studies"
    files = sorted((ROOT / "config" / folder).glob("*.yaml"))
    validator = Draft202012Validator(json.loads((ROOT / "config" / name).read_text()))
    assert files and not validator.is_valid({"unknown": 1})
    for file in files:
        assert file.read_text().startswith(f"# yaml-language-server: $schema=../{name}\n"), file
        faults = validator.iter_errors(yaml.safe_load(file.read_text()))
        assert not (told := [f"{fault.json_path}: {fault.message}" for fault in faults]), f"{file}: {told}"


def test_command_reference_is_in_step_with_the_parser():
    page = command_reference(main._parser())
    assert (ROOT / "docs/reference/cli.md").read_text() == page, "run `make schema`"


def test_the_site_is_built_without_a_warning(tmp_path):
    """Pages, navigation, links, anchors and docstrings; every page of docs/ has its place."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = {page.relative_to(tmp_path / "site").as_posix() for page in (tmp_path / "site").rglob("*.html")}
    assert {
        f"{page.relative_to(ROOT / 'docs').with_suffix('')}.html" for page in (ROOT / "docs").rglob("*.md")
    } <= pages
    configuration = (tmp_path / "site/reference/configuration.html").read_text()
    assert "samples_per_class" in configuration
    assert "needs: data" not in re.sub(
        "<!--.*?-->", "", "".join(p.read_text() for p in (tmp_path / "site").rglob("*.html"))
    )


def test_every_key_of_a_study_has_a_description():
    undescribed = [
        f"{model.__name__}.{name}"
        for _, models in schema.PAGES
        for model in models
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert not undescribed
