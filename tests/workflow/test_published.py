"""The published study as a user runs it: from its tables to the page, again, after a change, and with bad input."""

import shutil
from collections import Counter

import pytest
import yaml

from neuroscaling.core.files import read_json
from tests.workflow.conftest import Workdir, make_workdir, refused_when_read

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

# Nine of the networks, since a law is fitted again without each.
ARCHS = [*("resnet18", "resnet50", "resnet101"), *("deit_tiny", "deit_small", "deit_base")]
ARCHS += ["convnext_tiny", "convnext_small", "convnext_base"]
BASE = dict.fromkeys(("is_pretrained", "is_random", "is_ssl", "is_adv", "is_ablation"), False) | {"dataset": "imagenet"}
BASE |= {"arch": ARCHS}
FITS = [
    {
        "name": "compute_behavior",
        "form": "power_law",
        "x": "total_flops",
        "x_scale": 1e13,
        "filters": BASE | {"region": "Behavioral"},
        "group_by": ["model_id"],
        "bootstraps": 20,
        "modes": ["parity", "corrected"],
        "corrected": {"forms": ["power_law", "log_linear"], "cluster": ["arch", "samples_per_class"]},
    },
    {
        "name": "compute_chinchilla",
        "form": "chinchilla",
        "x": ["n_params", "n_samples_seen"],
        "compute": "total_flops",
        "filters": BASE | {"region": "IT"},
        "group_by": ["model_id"],
        "bootstraps": 20,
    },
    {
        "name": "fmri",
        "form": "sqrt_saturating",
        "x": "n_mapping",
        "filters": {"benchmark": "algonauts2023"},
        "group_by": ["subject", "n_mapping"],
        "hierarchy": ["subject"],
        "bootstraps": 20,
    },
]
CLAIMS = [
    {
        "claim": "Behaviour keeps growing.",
        "statement": {"kind": "pace", "grows": ["Behaviour"]},
        "fits": {"Behaviour": "compute_behavior"},
        "modes": ["parity", "corrected"],
    }
]
PUBLISHED = ["published_data", "published_table", "published_figures"]


def study(folder, **changes):
    common = {"study": "small", "fits": ["fits/small.yaml"], "claims": ["fits/claims.yaml"]}
    return common | {"published": {"published_dir": str(folder)}} | changes


def write_fits(workdir, fits):
    (workdir.path / "fits/small.yaml").write_text(yaml.safe_dump({"fits": fits}))


@pytest.fixture(scope="module")
def done(tmp_path_factory, published_dir):
    """A small study of the published tables, run to its report."""
    workdir = make_workdir(tmp_path_factory.mktemp("published") / "finished")
    tables = workdir.path / "tables"
    shutil.copytree(published_dir, tables)
    write_fits(workdir, FITS)
    (workdir.path / "fits/claims.yaml").write_text(yaml.safe_dump({"claims": CLAIMS}))
    workdir.write_study(study(tables))
    workdir.snakemake()
    return workdir


def test_the_report_holds_laws_figures_and_claims(done):
    page = (done.path / "results/small/report/index.html").read_text()
    assert "Behaviour keeps growing." in page and "fig4_compute_chinchilla" in page
    assert "993 published models" not in page and "994 published models" in page  # with the one of the fMRI scores
    index = read_json(done.path / "results/small/report/published/figures.json")
    assert len(index["figures"]) == 15  # of laws that this study fits
    (claim,) = read_json(done.path / "results/small/claims.json")["claims"]
    assert len(claim["evidence"]) == 2 and claim["stands"] is not None
    influence = read_json(done.path / "results/small/fits/compute_behavior.corrected.influence.json")
    assert influence["status"] == "judged" and influence["verdict"] in page.replace("&#39;", "'")
    behaviour = read_json(done.path / "results/small/fits/compute_behavior.corrected.json")
    assert behaviour["mode"] == "corrected" and behaviour["bootstraps"]["of"] == "clusters"
    assert read_json(done.path / "results/small/fits/compute_chinchilla.json")["allocation"]["mode"] == "corrected"


def test_a_second_run_does_nothing_and_a_moved_folder_of_tables_changes_nothing(done):
    assert done.planned() == Counter()
    moved = done.path / "elsewhere"
    shutil.copytree(done.path / "tables", moved)
    done.write_study(study(moved), "moved.yaml")
    assert done.planned("moved.yaml") == Counter()


def test_one_more_bootstrap_reruns_that_fit_the_figures_and_the_report(done):
    changed = [FITS[0], FITS[1] | {"bootstraps": 21}, FITS[2]]
    write_fits(done, changed)
    try:
        n_fits = len(list(done.path.glob("results/*/fits/*.bootstraps.parquet")))
        assert done.planned() == Counter(fits=1, fit=n_fits, claims=1, published_figures=1, report=1, all=1)
    finally:
        write_fits(done, FITS)


@pytest.fixture(scope="module")
def unmade(tmp_path_factory, published_dir) -> Workdir:
    """The study of which nothing is made, for those that are refused when they are read."""
    workdir = make_workdir(tmp_path_factory.mktemp("unmade") / "work")
    write_fits(workdir, FITS)
    return workdir


@pytest.mark.parametrize(
    ("changes", "phrases"),
    [
        ({"published": {"published_dir": "nowhere"}}, ["folder doesn't exist", "nowhere"]),
        ({"published": {"published_dr": "x"}}, ["unknown key", "nearest:  published_dir"]),
        ({"runs": [{"untrained": ["resnet_w8"]}]}, ["`published` stands in place of runs", "runs"]),
        ({"published": None}, ["`runs:` is missing"]),
    ],
    ids=["folder", "key", "runs", "neither"],
)
def test_a_faulty_study_is_refused(unmade, published_dir, changes, phrases):
    refused_when_read(unmade, study(published_dir, **changes), *phrases)


def test_a_table_that_is_missing_or_edited_is_named(done, tmp_path):
    folder = tmp_path / "tables"
    shutil.copytree(done.path / "tables", folder)
    (folder / "benchmark_scores_ckpts.csv").rename(folder / "benchmark_score_ckpts.csv")
    done.write_study(study(folder, store=str(tmp_path / "store")), "faulty.yaml")
    text = done.snakemake(check=False, study="faulty.yaml").stdout
    assert "published table is missing" in text and "nearest:  benchmark_score_ckpts.csv" in text
    (folder / "benchmark_score_ckpts.csv").rename(folder / "benchmark_scores_ckpts.csv")
    with (folder / "benchmark_scores.csv").open("a") as file:
        file.write("\n")
    process = done.snakemake(check=False, study="faulty.yaml")
    logs = "\n".join(path.read_text() for path in (done.path / "logs/published_data").glob("*.log"))
    assert process.returncode != 0 and "not the published one" in process.stdout + logs
    assert not (tmp_path / "store/data/published/benchmark_scores.csv").exists()


@pytest.mark.parametrize(
    ("changes", "phrases"),
    [
        ({"form": "power_lw"}, ["power_lw", "power_law"]),
        ({"x": "total_flop"}, ["unknown column", "nearest:  total_flops"]),
        ({"x": ["n_params", "n_samples_seen"]}, ["needs one column"]),
        ({"x_scale": [1.0, 2.0]}, ["x_scale"]),
        ({"corrected": {"group_byy": ["model_id"]}}, ["group_byy"]),
        ({"corrected": {"cluster": ["archs"]}}, ["unknown column", "nearest:  arch"]),
        ({"cluster": ["arch"], "hierarchy": ["subject"]}, ["either `cluster` or `hierarchy`"]),
        ({"modes": ["parity", "corected"]}, ["corected"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_faulty_fit_is_refused(unmade, published_dir, changes, phrases):
    write_fits(unmade, [FITS[0] | changes, *FITS[1:]])
    refused_when_read(unmade, study(published_dir), *phrases)


def test_a_faulty_fit_ends_a_start_in_words(unmade, published_dir):
    """In a process of its own: what is refused when it is read ends Snakemake, and without a traceback."""
    write_fits(unmade, [FITS[0] | {"x": "total_flop"}, *FITS[1:]])
    unmade.write_study(study(published_dir), "faulty.yaml")
    process = unmade.snakemake(check=False, study="faulty.yaml")
    assert process.returncode != 0 and "Traceback" not in process.stdout
    assert "nearest:  total_flops" in process.stdout, process.stdout[-3000:]
