"""Everything that is wrong with a study in one round: names, data and files of fits beside faulty values."""

import copy
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from neuroscaling.cli.main import main
from neuroscaling.core.errors import StudyError
from neuroscaling.study.loaded_study import load_study, read_study
from neuroscaling.study.session import named_study

ROOT = Path(__file__).parents[2]
STUDY = {
    "study": "s",
    "store": "store",
    "datasets": {"digits": {"format": "digits"}},
    "runs": [
        {"archs": ["resnet_w4"], "datasets": ["digits"], "recipe": "digits", "samples_per_class": [1], "seeds": [0]}
    ],
}
IT, BEHAVIOR = "MajajHong2015public.IT-pls", "Rajalingham2018public-i2n"
FIT = {"name": "a", "form": "log_linear", "x": "n_samples", "filters": {"kind": "trained"}}
RECIPE = "epochs: 2\nbatch_size: 64\noptimizer: adamw\nlearning_rate: 3.0e-3\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return path


def changed(**changes):
    return copy.deepcopy(STUDY) | changes


def problems(folder, study, **fits):
    """By key in the study: what is wrong with it."""
    for name, content in fits.items():
        write(folder / f"{name}.yaml", {"fits": content})
    found = read_study(write(folder / "s.yaml", study)).problems
    return {str(problem.where).partition(": ")[2]: problem for problem in found}


def test_names_are_checked_where_types_are_wrong(folder):
    run = STUDY["runs"][0]
    study = changed(
        study="no name!",
        runs=[
            run
            | {"archs": ["resnet_w9"], "recipe": "digts", "datasets": ["digit"], "samples_per_class": [0], "seeds": 0},
            {"untrained": ["resnett18", "resnet_w4"], "sed": [0]},
            {"pretrain": ["resnet18.a1_in1k"]},
        ],
        brainscore={"data": {"locl": "/x"}, "benchmarks": ["MajajHong2015public.IT-plss"]},
        training={"packs": {"digit": {}}, "gpus": "two"},
        layers={"resnet_w5": {"candidates": 3}},
        fits=["none.yaml"],
        encoding=[{"source": "algonauts2023", "data": {"simulated": "brian"}, "regions": ["V1", "V9"], "draws": -1}],
        simulated={"brain": {"vertices": 20000}},
    )
    found = problems(folder, study)
    nearest = {key: problem.nearest for key, problem in found.items()}
    assert nearest | {
        "runs[0].archs[0]": "resnet_w8", "runs[0].recipe": "digits", "runs[0].datasets[0]": "digits",
        "runs[1].untrained[0]": "resnet18", "runs[1].sed": "seeds", "runs[2].pretrain": "pretrained",
        "brainscore.benchmarks[0]": "MajajHong2015public.IT-pls", "brainscore.data.locl": "local",
        "training.packs.digit": "digits", "encoding[0].data.simulated": "brain",
    } == nearest  # fmt: skip
    assert {
        "study", "runs[0].samples_per_class[0]", "runs[0].seeds", "training.gpus", "layers.resnet_w5.candidates",
        "fits[0], none.yaml", "encoding[0].regions[1]", "encoding[0].draws", "simulated.brain.vertices",
    } <= set(found)  # fmt: skip
    assert all(" line " in str(problem.where) for problem in found.values())


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        ([10, 90, "all"], None),
        ([10, 91, "all"], ["samples", f"more mapping images than {IT} has training images", "91", "at most 90, or"]),
        ({IT: [91]}, [f"samples.{IT}", "at most 90"]),
        ({BEHAVIOR: [10]}, ["fits no mapping", BEHAVIOR]),
        ({"MajajHong2015public.IT-pl": [10]}, ["not a benchmark of this study", f"nearest:  {IT}"]),
        ([9], ["samples[0]", "from 10 to 1,000,000"]),
        ([], ["samples"]),
    ],
)
def test_numbers_of_mapping_images_that_a_benchmark_cannot_give_are_told(folder, samples, told):
    study = changed(
        simulated={"brain": {"stimuli": 100}},
        brainscore={"data": {"simulated": "brain"}, "benchmarks": [IT, BEHAVIOR], "samples": samples},
    )
    found = [str(problem) for problem in problems(folder, study).values()]
    assert [all(word in text for word in told or []) for text in found] == ([True] if told else []), found


def test_check_looks_deep_beside_what_is_faulty(folder, capsys):
    study = changed(runs_per_job="x", layers={"resnet_w4": {"candidates": ["layer9"]}}, fits=["none.yaml"])
    assert main(["check", str(write(folder / "s.yaml", study))]) == 1
    text = capsys.readouterr().err
    assert "line 18: layers.resnet_w4, resnet_w4: unknown layer" in text and "layer9" in text
    assert "runs_per_job: must be" in text and "none.yaml" in text and "3 problems" in text


@pytest.mark.parametrize(
    "brainscore",
    [
        {"data": {"v4": ["190923"]}, "define": {"mine": {"region": "V4", "metric": "pls", "assembly": ""}}},
        {"data": {"simulated": "brain"}},
    ],
)
def test_check_leaves_out_what_hangs_on_what_is_faulty(folder, capsys, brainscore):
    study = changed(
        simulated={"brain": {"seed": -1}},
        brainscore={**brainscore, "benchmarks": ["mine" if "define" in brainscore else "MajajHong2015public.IT-pls"]},
    )
    assert main(["check", str(write(folder / "s.yaml", study))]) == 1
    assert "simulated.brain.seed" in capsys.readouterr().err


def test_two_files_with_a_fit_of_one_name(folder):
    first = [FIT, FIT | {"name": "b", "by": {"region": ["accuracy", "V1"]}}]
    found = problems(
        folder, changed(accuracy=True, fits=["one.yaml", "two.yaml"]), one=first, two=[FIT | {"x": "n_params"}]
    )
    (problem,) = found.values()
    assert problem.what == "two fits of one name" and problem.value == "a"
    assert "two.yaml line 2" in str(problem.where) and "one.yaml line 2" in problem.fix
    same = problems(folder, changed(accuracy=True, fits=["one.yaml", "one.yaml"]), one=first)
    assert len(same) == 2 and {p.what for p in same.values()} == {"two fits of one name"}


@pytest.mark.parametrize(
    ("change", "value", "nearest"),
    [
        ({"filters": {"benchmark": "validaton"}}, "validaton", "validation"),
        ({"filters": {"kind": ["trained", "untraind"]}}, "untraind", "untrained"),
        ({"filters": {"kind": {"not": "pretraind"}}}, "pretraind", "pretrained"),
        ({"filters": {"arch": "resnet_w6"}}, "resnet_w6", "resnet_w4"),
        ({"filters": {"arch_family": "Resnet"}}, "Resnet", "ResNet"),
        ({"filters": {"dataset": "digit"}}, "digit", "digits"),
        ({"by": {"region": ["V1", "behaviour"]}}, "behaviour", "behavior"),
        ({"filters": {"objective": "supervized"}}, "supervized", "supervised"),
    ],
)
def test_a_value_that_no_row_can_have_gets_the_nearest(folder, change, value, nearest):
    (problem,) = problems(folder, changed(accuracy=True, fits=["f.yaml"]), f=[FIT | change]).values()
    assert (problem.value, problem.nearest) == (value, nearest) and "f.yaml line" in str(problem.where)


def test_a_value_that_other_studies_have_is_let_through(folder):
    validation = FIT | {"filters": {"benchmark": "validation", "kind": "pretrained"}}
    listed = FIT | {"name": "b", "filters": {"benchmark": ["validation", "algonauts2023"]}, "by": {"region": ["V1"]}}
    assert not problems(folder, changed(fits=["f.yaml"]), f=[validation, listed])


def test_a_recipe_beside_the_study_is_found_from_any_folder(folder, tmp_path_factory, monkeypatch):
    study = changed(runs=[STUDY["runs"][0] | {"recipe": "tiny.yaml"}])
    path = write(folder / "studies/mine.yaml", study)
    write(folder / "studies/tiny.yaml", RECIPE)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    (run,) = load_study(path).runs.values()
    assert run.recipe.name == "tiny" and run.recipe.epochs == 2


def test_two_recipes_of_one_name(folder):
    runs = [STUDY["runs"][0], STUDY["runs"][0] | {"recipe": "digits.yaml"}]
    write(folder / "digits.yaml", RECIPE)
    (problem,) = problems(folder, changed(runs=runs)).values()
    assert "two recipes are called `digits`" in problem.what and "rename" in problem.fix
    shutil.copy(ROOT / "config/recipes/digits.yaml", folder)
    assert not problems(folder, changed(runs=runs))


def test_sources_and_submissions_that_two_entries_ask_for(folder):
    fmri = {"source": "algonauts2023", "data": {"simulated": "b"}, "submissions": {"one": {}}}
    v4 = {"source": "v4", "sessions": ["190923"]}
    study = changed(simulated={"b": {}, "c": {}}, encoding=[fmri, fmri | {"subjects": "all"}, v4, v4])
    twice = {"encoding[1].subjects", "encoding[1].submissions.one", "encoding[3].sessions"}
    assert set(problems(folder, study)) == twice
    other = fmri | {"data": {"simulated": "c"}, "submissions": {"two": {}}}
    assert not problems(folder, changed(simulated={"b": {}, "c": {}}, encoding=[fmri, other]))


def test_a_value_that_is_left_out_is_told_once(folder):
    (problem,) = problems(folder, changed(encoding=[{"source": "v4", "sessions": []}])).values()
    assert "not an empty list" in problem.what


def test_scratch_that_is_not_there(folder):
    study = changed(training={"stage": "disk", "scratch": "nope/nope"})
    assert set(problems(folder, study)) == {"training.scratch"}
    assert not problems(folder, changed(training={"stage": "disk", "scratch": "/of/another/node"}))


def test_a_launcher_that_is_no_command(folder):
    study = changed(training={"nodes": 2, "launcher": "mpiexec -n '{nodes}"})
    assert "no command" in problems(folder, study)["training.launcher"].what


def test_shards_and_names_without_end(folder):
    tar = {
        "format": "webdataset",
        "train": "/x/{0..99999999}.tar",
        "validation": "/x/{0..9}{0..99999999999999999999}.tar",
    }
    archs = ["resnetflexfilters-f-1-16-20-99999999999999", "a:b@²", "a:b@" + "9" * 5000]
    found = problems(folder, changed(datasets={"digits": {"format": "digits"}, "d": tar}, runs=[{"untrained": archs}]))
    assert "too many shards" in found["datasets.d, `train:`"].what
    assert {f"runs[0].untrained[{i}]" for i in range(3)} <= set(found)


@pytest.mark.parametrize(
    ("config", "what", "nearest"),
    [
        *((config, "no study is named", "") for config in ({}, {"study": ""}, {"study": True})),
        ({"study": "x.yaml", "planing": True}, "unknown key", "planning"),
        ({"studdy": "x.yaml"}, "unknown key", "study"),
    ],
)  # fmt: skip
def test_options_of_snakemake_that_nothing_reads(config, what, nearest):
    with pytest.raises(StudyError) as caught:
        named_study(config)
    first, *_ = caught.value.problems
    assert (first.what, first.nearest) == (what, nearest)
    assert config.get("study") == "x.yaml" or "`make demo`" in str(caught.value)


def test_make_looks_at_the_name_before_it_builds(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "config/studies").mkdir(parents=True)
    (tmp_path / "config/studies/demo.yaml").write_text("")
    write(tmp_path / "envs/build.sh", "#!/bin/sh\ntouch built\n").chmod(0o755)
    process = subprocess.run(["make", "study-dmo"], cwd=tmp_path, text=True, capture_output=True)
    assert process.returncode != 0 and "no such study" in process.stderr and "demo" in process.stderr
    assert not (tmp_path / "built").exists()
    subprocess.run(["make", "study-demo"], cwd=tmp_path, text=True, capture_output=True)
    assert (tmp_path / "built").exists()
