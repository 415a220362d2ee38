"""What bad input gets: one clear message before anything is computed, exit status not zero, and nothing lost."""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroscaling.cli.main import main
from neuroscaling.core.tries import read_tries
from neuroscaling.models.build import build
from neuroscaling.models.weights import save_weights
from tests.workflow.conftest import SMALL, Workdir, make_workdir, refused_when_read

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def listing(workdir):
    """Every artefact of the workdir with its content, but for the lists of what a study wants."""
    folders = [workdir.path / "store", workdir.path / "results"]
    files = [p for folder in folders for p in folder.rglob("*") if p.is_file() and p.name != "artefacts.json"]
    return {p: p.read_bytes() for p in files if not {".cache", "logs", "wanted"} & {*p.parts}}


def refused(workdir, study, *phrases, before_any_job=True, until=()):
    """Run a faulty study; assert its message, its exit status, that no job ran and that nothing was lost.

    until: rules after which a start may end; what comes later takes seconds and is refused nothing.
    """
    workdir.write_study(study, "faulty.yaml")
    before = listing(workdir)
    process = workdir.snakemake(*(f"--until={rule}" for rule in until), check=False, study="faulty.yaml")
    assert process.returncode != 0, process.stdout[-3000:]
    for phrase in phrases:
        assert phrase in process.stdout, f"{phrase!r} is not in\n{process.stdout[-4000:]}"
    assert "Traceback" not in process.stdout, process.stdout[-4000:]
    after = listing(workdir)
    assert before.items() <= after.items(), "an artefact was lost or changed"
    if before_any_job:
        assert before == after and "Finished job" not in process.stdout
    return process.stdout


def small(**changes):
    return copy.deepcopy(SMALL) | changes


def runs(**changes):
    return [SMALL["runs"][0] | changes]


def refused_when_checked(workdir, study, capsys, *phrases):
    """Assert the message and the exit status of `neuroscaling check`, with which each start begins, in this process.

    `test_a_layer_that_the_network_lacks` has a start that ends by it.
    """
    workdir.write_study(study, "faulty.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workdir.path)
        assert main(["check", "faulty.yaml"]) == 1
    said = capsys.readouterr().err
    assert all(phrase in said for phrase in phrases) and "nothing was started" in said, said


@pytest.fixture(scope="module")
def unmade(tmp_path_factory) -> Workdir:
    """The small study of which nothing is made. Tests leave it as it is."""
    return make_workdir(tmp_path_factory.mktemp("unmade") / "work")


@pytest.fixture
def own(tmp_path) -> Workdir:
    """As `unmade`, for a test that puts files there."""
    return make_workdir(tmp_path / "work")


@pytest.mark.parametrize(
    ("changes", "phrases"),
    [
        ({"brainscor": {}}, ["unknown key", "nearest:  brainscore"]),
        ({"runs": runs(archs=["resnet_w7"])}, ["unknown architecture", "resnet_w7", "nearest:  resnet_w8"]),
        ({"runs": runs(recipe="digts")}, ["unknown recipe", "nearest:  digits"]),
        ({"runs": runs(datasets=["digit"])}, ["unknown dataset", "nearest:  digits"]),
        ({"runs": runs(samples_per_class=[0])}, ["at least 1 or `all`, not 0"]),
        ({"runs": runs(samples_per_class=[-2])}, ["at least 1 or `all`, not -2"]),
        ({"runs": runs(samples_per_class=[1000])}, ["has only 139 images", "1000"]),
        ({"layers": {"resnet_w8": {"regions": {"ITT": "layer4.0"}}}}, ["unknown region", "nearest:  IT"]),
        ({"fits": ["fits/none.yaml"]}, ["fits/none.yaml", "missing"]),
        (
            {"brainscore": {"data": {"simulated": "brain"}, "benchmarks": ["MajajHong2015public.TI-pls"]}},
            ["unknown benchmark", "nearest:  MajajHong2015public.IT-pls"],
        ),
        (
            {"brainscore": {"data": {"simulated": "brian"}, "benchmarks": ["MajajHong2015public.IT-pls"]}},
            ["unknown simulated brain", "nearest:  brain"],
        ),
        (
            {"encoding": [{"source": "algonauts2023", "data": {"simulated": "brain"}, "regions": ["V9"]}]},
            ["unknown region", "V9"],
        ),
        ({"encoding": [{"source": "v4", "local_dir": "nowhere"}]}, ["folder is missing", "nowhere"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_faulty_study_file(unmade, tmp_path, changes, phrases):
    refused_when_read(unmade, small(**changes), *phrases, folder=tmp_path)


def test_a_layer_that_the_network_lacks(workdir):
    layers = {"resnet_w8": {"regions": {"IT": "layer9.0"}}}
    refused(workdir, small(layers=layers), "unknown layer", "layer9.0", "layer4.0")


def test_a_start_ends_with_what_it_did_and_where_the_report_is(finished):
    said = (finished.path / "run.log").read_text()
    last = said.splitlines()[-2:]
    assert re.fullmatch(r"small: \d+ jobs done in (\d+ min )?\d+ s", last[0]), said[-2000:]
    assert last[1] == f"The report: {finished.path}/results/small/report/index.html"
    assert (finished.path / "told.txt").read_text().splitlines() == last


def test_a_finished_study_has_a_status_that_says_so(finished):
    done = finished.neuroscaling("status", "small.yaml", "--format", "json")
    content = json.loads(done.stdout)
    assert all(row["done"] == row["wanted"] and not row["failed"] for row in content["stages"])
    tries = [read_tries(path) for path in (finished.path / "logs").rglob("*.tries.jsonl")]
    assert {one.outcome for found in tries for one in found} == {"done"}
    assert content["gpu_hours"] + content["cpu_hours"] > 0


def test_all_faults_at_once(workdir):
    text = refused(
        workdir,
        small(runs=runs(archs=["resnet_w7"], datasets=["digit"]), fits=["fits/none.yaml"]),
        "resnet_w7",
        "digit",
        "fits/none.yaml",
    )
    assert "3 problem" in text


def photographs(folder: Path, classes=("cat", "dog", "owl"), images=4) -> Path:
    """A small data set in the imagefolder layout."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in classes:
            (folder / split / name).mkdir(parents=True)
            for i in range(images):
                pixels = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{name}_{split}{i}.png")
    return folder


def photograph_study(workdir) -> dict:
    runs = [SMALL["runs"][0] | {"datasets": ["photos"], "samples_per_class": [2]}]
    root = str(workdir.path / "photos")
    return small(datasets={"photos": {"format": "imagefolder", "root": root}}, runs=runs)


def test_missing_and_empty_data_set_folder(own):
    study = photograph_study(own)
    refused_when_read(own, study, "photos", "missing")
    (own.path / "photos/train").mkdir(parents=True)
    (own.path / "photos/val").mkdir(parents=True)
    refused_when_read(own, study, "photos")


def test_more_samples_per_class_than_the_smallest_class_has(own):
    folder = photographs(own.path / "photos")
    (folder / "train/dog/dog_train0.png").unlink()
    study = photograph_study(own)
    study["runs"][0]["samples_per_class"] = [4]
    refused_when_read(own, study, "dog", "3")


def test_truncated_image(own, capsys):
    folder = photographs(own.path / "photos")
    broken = folder / "train/owl/owl_train1.png"
    broken.write_bytes(broken.read_bytes()[:200])
    refused_when_checked(own, photograph_study(own), capsys, "owl_train1.png")


def test_two_classes_swapped_between_train_and_validation(own):
    folder = photographs(own.path / "photos")
    (folder / "val/cat").rename(folder / "val/other")
    (folder / "val/dog").rename(folder / "val/cat")
    (folder / "val/other").rename(folder / "val/dog")
    refused_when_read(own, photograph_study(own), "cat", "dog")


def recordings(finished, workdir) -> Path:
    """The simulated recordings as a local folder, as a lab would have its own."""
    source = next(finished.path.glob("store/simulated/*/brainscore"))
    shutil.copytree(source, workdir.path / "recordings")
    return workdir.path / "recordings"


def recording_study() -> dict:
    return small(
        brainscore={"data": {"local": "recordings"}, "benchmarks": ["MajajHong2015public.IT-pls"]}, encoding=[]
    )


def responses(dataset):
    """The variable of an assembly's netCDF file that holds the responses."""
    return next(v for v in dataset.variables.values() if v.ndim >= 2)


def test_nan_responses(finished, own, capsys):
    import netCDF4

    file = next(recordings(finished, own).glob("**/*MajajHong2015*.nc"))
    with netCDF4.Dataset(file, "a") as dataset:
        dataset.set_auto_mask(False)
        variable = responses(dataset)
        values = variable[:]
        values[3, 1] = np.nan
        variable[:] = values
    refused_when_checked(own, recording_study(), capsys, "NaN", file.name)


def test_stimulus_without_a_recorded_response(finished, own, capsys):
    file = next(recordings(finished, own).glob("**/*hvm*.csv"))
    lines = file.read_text().splitlines()
    fields = lines[1].split(",")
    column = lines[0].split(",").index("stimulus_id")
    fields[column] = "never-shown"
    file.write_text("\n".join([*lines, ",".join(fields)]) + "\n")
    refused_when_checked(own, recording_study(), capsys, "never-shown")


def fmri(finished, workdir) -> Path:
    source = next(finished.path.glob("store/simulated/*/algonauts2023"))
    shutil.copytree(source, workdir.path / "fmri")
    return workdir.path / "fmri"


def fmri_study(**entry) -> dict:
    return small(
        encoding=[{"source": "algonauts2023", "data": {"local": "fmri"}, "regions": ["V1", "ventral"]} | entry]
    )


def test_empty_roi(finished, own):
    folder = fmri(finished, own)
    for hemisphere in ("lh", "rh"):
        file = folder / f"subj01/roi_masks/{hemisphere}.streams_challenge_space.npy"
        np.save(file, np.zeros_like(np.load(file)))
    refused_when_read(own, fmri_study(), "ventral", "subj01")


def test_missing_subject(finished, own):
    fmri(finished, own)
    refused_when_read(own, fmri_study(subjects=["subj01", "subj05"]), "subj05")


def test_more_mapping_images_than_a_subject_has(finished, own):
    fmri(finished, own)
    refused_when_read(
        own, fmri_study(samples=[10, 500]), "more mapping images than the subject has", "500", "subj01: at most 40"
    )


def test_withheld_test_responses(finished, own):
    for file in fmri(finished, own).glob("subj01/test_split/test_fmri/*.npy"):
        file.unlink()
    refused_when_read(own, fmri_study(), "withheld", "evaluate: validation")


def test_zarr_store_cut_short_is_refused_naming_the_file(workdir):
    chunks = workdir.path.glob("store/activations/*_untrained_*/*.zarr/layer3.0/**/*")
    chunk = next(path for path in chunks if path.is_file() and path.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes()[:-7])
    study = small(runs=SMALL["runs"][1:])
    study["brainscore"]["benchmarks"] = [*study["brainscore"]["benchmarks"], "MajajHong2015public.V4-pls"]
    refused(workdir, study, "layer3.0", chunk.parent.parent.name, before_any_job=False, until=["brainscore"])


def test_weights_of_another_architecture(workdir):
    run = next(workdir.path.glob("store/runs/resnet_w8_digits_1_*"))
    other = workdir.path / "other"
    save_weights(build("vit_w32", 10, 0), other, {"arch": "vit_w32"})
    weights = next(run.glob("weights-*.safetensors"))
    shutil.move(other, weights)
    shutil.rmtree(workdir.path / "store/activations" / run.name)
    study = small()
    study["brainscore"]["benchmarks"] = [*study["brainscore"]["benchmarks"], "MajajHong2015public.V4-pls"]
    refused(
        workdir, study, "the weights are not those that run.json tells of", run.name,
        before_any_job=False, until=["activations"],
    )  # fmt: skip


@pytest.fixture
def mount(tmp_path):
    """Mount a small tmpfs (root only); unmounted at the end."""
    point = tmp_path / "disk"
    point.mkdir()

    def make(options):
        process = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", point], capture_output=True, text=True
        )
        if process.returncode:
            pytest.skip(f"a tmpfs can't be mounted here (needs root): {process.stderr.strip()}")
        return point

    yield make
    subprocess.run(["umount", "-l", point], capture_output=True)


def test_full_disk(workdir, mount):
    disk = mount("size=300k")
    study = small(store=str(disk / "store"))
    refused(workdir, study, "no space left", str(disk), before_any_job=False, until=["simulate"])


def test_store_without_write_permission(workdir, mount):
    disk = mount("size=1m,ro")
    refused(workdir, small(store=str(disk / "store")), "can't be written", str(disk))
