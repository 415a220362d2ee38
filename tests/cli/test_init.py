"""`neuroscaling init` writes a study that can run, with laws that its runs give rows enough to."""

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from neuroscaling.cli import init as init_command
from neuroscaling.cli.main import main
from neuroscaling.cli.run import profile_named
from neuroscaling.core.installation import PIPELINE
from neuroscaling.study.loaded_study import LoadedStudy, load_study
from neuroscaling.study.sections.key_types import is_dotted_path
from tests.support.own_arrays import write_images
from tests.support.simulated_nsd import NsdSettings, write_nsd_tree
from tests.support.simulated_things import ThingsSettings, write_things

CLASSES = {"cat": 40, "dog": 33}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(*arguments: str) -> LoadedStudy:
    """The study that the options give, as it was written to study.yaml."""
    assert main(["init", "study.yaml", *arguments]) == 0
    return load_study("study.yaml")


def photographs(validation: str) -> None:
    """A small data set whose rarest class has 33 images."""
    for split in ("train", validation):
        for name, images in CLASSES.items():
            folder = Path("photos 2024", split, name)
            folder.mkdir(parents=True)
            for i in range(images if split == "train" else 2):
                Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / f"{i}.png")


def arrays(folder: str) -> None:
    """Recordings of two subjects, by 60 images: 52 to fit mappings on."""
    import numpy as np

    names = [f"{i:02d}.png" for i in range(60)]
    write_images(Path(folder, "images"), names, 16)
    np.save(Path(folder, "responses.npy"), np.random.default_rng(0).normal(size=(60, 6)))
    Path(folder, "units.csv").write_text(
        "region,subject\n" + "".join(f"{r},{s}\n" for r in ("V4", "IT", "IT") for s in "ab")
    )
    Path(folder, "stimuli.csv").write_text(
        "filename,split\n" + "".join(f"{name},{'test' if i < 8 else 'train'}\n" for i, name in enumerate(names))
    )


def values_of_x(study: LoadedStudy) -> dict[str, set[object]]:
    """For each law the different values of x that runs which pass its filters can give, as far as runs tell."""
    found = defaultdict(set)
    for name, job in study.fits.items():
        filters, x = job.settings["filters"], job.settings["x"]
        for run in study.runs.values():
            facts = {"kind": run.kind, "arch_family": run.family, "dataset": run.dataset}
            facts["samples_per_class"] = 0 if run.samples_per_class == "all" else run.samples_per_class
            if any(filters[key] != value for key, value in facts.items() if key in filters):
                continue
            if x == "n_mapping":
                found[name] |= {*study.config.encoding[0].samples}
            else:
                found[name].add(run.arch if x == "n_params" else run.samples_per_class)
    return found


def write_data(recordings: str) -> None:
    """SIMULATED data in the layout of the authors, or images and a function."""
    if recordings == "nsd":
        write_nsd_tree(".", NsdSettings(sessions=(("subj01", 1),), shared=2, spaces=("fsaverage",), image_size=8))
    elif is_dotted_path(recordings):
        write_images(Path("shown"), ["0.png", "1.png"], 8)
        Path("our_lab.py").write_text("def read(options, subject): ...\n")
    else:
        write_things(".", ThingsSettings(concepts=6, exemplars=2, known=4, people=("sub-01",)))


@pytest.mark.parametrize(
    ("recordings", "arguments", "text"),
    [
        ("nsd", ("--data", "nsd"), "docs/nsd.md"),
        ("tvsd", ("--data", "tvsd", "--stimuli", "things"), "docs/things.md"),
        ("things_fmri", ("--data", "things_fmri", "--stimuli", "things"), "docs/things.md"),
        ("our_lab:read", ("--stimuli", "shown", "--subjects", "anna,bert", "--regions", "V4 IT"), "own-recordings.md"),
    ],
)
def test_each_kind_of_recordings_has_its_section_and_its_laws(recordings, arguments, text, monkeypatch, here):
    """The reader of studies takes each key, and finds the files."""
    write_data(recordings)
    monkeypatch.syspath_prepend(str(here))
    study = written("--pretrained", "--recordings", recordings, *arguments)
    (section,) = study.config.encoding
    assert section.source == recordings and text in Path("study.yaml").read_text()
    assert {job.settings["fit"] for job in study.fits.values()} == {"parameters", "mapping-images"}
    assert all(len(values) >= 3 for values in values_of_x(study).values())
    assert all(job.settings["filters"]["benchmark"] == section.benchmark_of("") for job in study.fits.values())


@pytest.mark.parametrize(
    ("arguments", "laws"),
    [
        ((), {"training-images", "accuracy", "mapping-images"}),
        (("--recordings", "none", "--networks", "resnet_w8"), {"accuracy"}),
        (("--pretrained", "--recordings", "brainscore"), {"parameters"}),
        (("--images", "none", "--networks", "resnet18@112"), {"mapping-images"}),
        (("--images", "none", "--networks", "resnet18", "--recordings", "brainscore"), set()),
        (("--recordings", "v4", "--networks", "resnet_w8,resnet_w16,vit_w16"),
         {"training-images", "accuracy", "mapping-images", "parameters"}),
        (("--images", "photos 2024", "--networks", "resnet18 vit_small convnext_tiny", "--recordings", "lab data"),
         {"training-images", "accuracy", "mapping-images", "parameters"}),
    ],
)  # fmt: skip
def test_each_law_that_is_written_can_have_points_enough(arguments, laws):
    photographs("val")
    arrays("lab data")
    study = written(*arguments)
    assert {job.settings["fit"] for job in study.fits.values()} == laws
    found = values_of_x(study)
    assert found.keys() == study.fits.keys() and all(len(values) >= 3 for values in found.values()), found
    assert Path("study-fits.yaml").exists() == bool(laws)


def test_a_folder_of_images_is_counted_and_samples_are_proposed(capsys):
    photographs("validation")
    study = written("--images", "photos 2024", "--recordings", "none")
    (dataset,) = study.config.datasets.values()
    assert (dataset.classes, dataset.images, str(dataset.validation)) == (2, 73, "validation")
    assert {run.samples_per_class for run in study.runs.values()} == {0, 1, 3, 10, 30, "all"}
    assert "2 classes of 33 to 40 images" in Path("study.yaml").read_text()
    assert "neuroscaling run study.yaml" in capsys.readouterr().err


def test_files_begin_with_their_schema_and_are_never_overwritten(capsys):
    assert main(["init", "lab"]) == 0
    assert capsys.readouterr().out.split() == ["lab/lab.yaml", "lab/lab-fits.yaml"]
    for name, schema in (("lab.yaml", "schema.json"), ("lab-fits.yaml", "schema-fits.json")):
        first = Path("lab", name).read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=") and Path(first.split("=")[1]).name == schema
        assert Path(first.split("=")[1]).is_file()
    Path("lab/lab.yaml").write_text("mine")
    assert main(["init", "lab"]) == 1 and Path("lab/lab.yaml").read_text() == "mine"
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (("--networks", "resnet_w9x,resnet81"), ["resnet_w9x", "nearest:  resnet18"]),
        (("--recordings", "simulatd", "--images", "digit"), ["nearest:  simulated", "nearest:  digits", "2 problems"]),
        (("--images", "none", "--recordings", "none"), ["nothing would be measured"]),
        (("--pretrained", "--images", "digits"), ["trained already"]),
        (("--recordings", "algonauts2023"), ["--data FOLDER"]),
        (("--recordings", "algonauts2023", "--data", "nowhere"), ["nowhere"]),
        (("--recordings", "tvsd"), ["with monkeyF and monkeyN", "--stimuli FOLDER", "2 problems"]),
        (("--recordings", "our_lab:read", "--stimuli", "empty"), ["--subjects NAMES", "--regions NAMES"]),
        (("--recordings", "empty"), ["no images/", "no responses.*", "no units.csv"]),
        (("--images", "empty"), ["no training or no validation images"]),
        (("--name", "a b"), ["not a name of a study"]),
    ],
)
def test_what_is_wrong_is_told_at_once_and_nothing_is_written(arguments, phrases, here, capsys):
    (here / "empty").mkdir()
    assert main(["init", "new/study.yaml", *arguments]) == 1
    said = capsys.readouterr().err
    assert all(phrase in said for phrase in phrases), said
    assert not list(here.glob("**/*.yaml"))


def test_a_profile_is_copied_to_where_run_looks_first(capsys):
    assert profile_named("slurm") == str(PIPELINE / "profiles/slurm")
    assert main(["init", "--profile", "slurm"]) == 0
    assert "profiles/slurm/partitions.yaml" in capsys.readouterr().out.split()
    assert profile_named("slurm") == "profiles/slurm"
    for path in Path("profiles/slurm").iterdir():
        assert path.read_text() == (PIPELINE / path).read_text()
    for wrong, told in (
        (["--profile", "slurm"], "edit it"),
        (["--profile", "slrm"], "nearest:  slurm"),
        (["mine.yaml", "--profile", "local"], "a study and a profile at once"),
    ):
        assert main(["init", *wrong]) == 1
        assert told in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["profiles"]


def test_on_a_terminal_it_asks(monkeypatch, capsys):
    given = iter(["none\n", "untrained\n", "resnet_w8, vit_w16\n", "\n"])
    terminal = SimpleNamespace(isatty=lambda: True, readline=lambda: next(given))
    monkeypatch.setattr(init_command.sys, "stdin", terminal)
    assert main(["init"]) == 0
    assert "[simulated]" in capsys.readouterr().err
    assert {run.arch for run in load_study("mine.yaml").runs.values()} == {"resnet_w8", "vit_w16"}
