"""`neuroscaling init` writes a study with comments that runs as it stands, and the laws that its runs give rows to."""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from neuroscaling.cli import init_recordings, init_study
from neuroscaling.cli.init_recordings import Recordings
from neuroscaling.cli.init_study import DIGITS, NONE, Images, Plan, data_name, fits_text, study_text
from neuroscaling.cli.output import tell
from neuroscaling.cli.run import shipped_profiles
from neuroscaling.core.errors import NeuroscalingError, Problem, StudyError, nearest, number_of
from neuroscaling.core.installation import PIPELINE
from neuroscaling.core.table_files import read_any_table
from neuroscaling.study import architectures
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.sections.encoding import ArraysEncoding
from neuroscaling.study.sections.key_types import NAME, NAME_IN_WORDS, is_dotted_path
from neuroscaling.study.sections.recordings import ColumnSplit, DrawnSplit, LocalData

KINDS = ("simulated", "v4", "algonauts2023", "nsd", "tvsd", "things_fmri", "brainscore", NONE)
IN_FOLDERS = {
    "algonauts2023": "the folder with subj01, subj02, ... (docs/fmri.md)",
    "nsd": "the folder with nsddata, nsddata_betas and nsddata_stimuli (docs/nsd.md)",
    "tvsd": "the folder with monkeyF and monkeyN (docs/things.md)",
    "things_fmri": "the folder with betas_csv (docs/things.md)",
}
"""Kinds whose data the user has in a folder."""
OF_THINGS = ("tvsd", "things_fmri")
RESPONSES = ("npy", "parquet", "zarr", "nc", "h5", "hdf5", "mat")
VALIDATION = ("val", "validation", "valid", "test")
OF_DIGITS, OF_IMAGES, PUBLISHED = "resnet_w16,vit_w32", "resnet18", "resnet18,resnet34,resnet50"


def add_init_options(parser: argparse.ArgumentParser) -> None:
    """The options of `init`. Those that are not given are None, so that `init` can ask for them."""
    text = "the study file, or a folder for it (NAME.yaml); what is there is never overwritten"
    parser.add_argument("path", type=Path, nargs="?", metavar="FOLDER/FILE", help=text)
    parser.add_argument("--name", help="name of the study; that of the file or folder by default")
    text = "training images: digits (bundled), none, or a folder with train/CLASS/ and val/CLASS/"
    parser.add_argument("--images", metavar="FOLDER", help=text)
    text = "networks, with commas between: of `neuroscaling models`, of timm, package.module:function of your own"
    parser.add_argument("--networks", metavar="NAMES", help=text)
    text = "take the networks' published weights in place of training them"
    parser.add_argument("--pretrained", action="store_true", help=text)
    text = f"{', '.join(KINDS)}; the folder of recordings of your own, or package.module:function"
    parser.add_argument("--recordings", metavar="KIND", help=text)
    text = f"where the recordings lie, of {', '.join(IN_FOLDERS)} or v4"
    parser.add_argument("--data", default="", metavar="FOLDER", help=text)
    text = "the images that were shown: of THINGS for tvsd and things_fmri, or those of a function of your own"
    parser.add_argument("--stimuli", default="", metavar="FOLDER", help=text)
    parser.add_argument("--subjects", default="", metavar="NAMES", help="subjects of a function of your own")
    parser.add_argument("--regions", default="", metavar="NAMES", help="regions that it tells, for the laws")
    text = "copy the profile slurm, generic or local to profiles/NAME here, where you edit it; no study is written"
    parser.add_argument("--profile", metavar="NAME", help=text)


def init(options: argparse.Namespace) -> None:
    """Write a study and its laws, and say what to do next.

    Asks on a terminal where no option is given. Raises StudyError, and leaves nothing, where a file is there already or
    the study can't be run. With `--profile` it writes the files of a profile in place of a study.
    """
    if options.profile:
        write_profile(options)
        return
    if sys.stdin.isatty() and not (options.images or options.networks or options.recordings or options.pretrained):
        ask(options)
    plan = planned(options)
    laws = fits_text(plan)
    write_new({plan.file: study_text(plan)} | ({plan.fits_file: laws} if laws else {}))
    try:
        study = load_study(plan.file)
    except NeuroscalingError:
        for path in (plan.file, plan.fits_file):
            path.unlink(missing_ok=True)
        raise
    print(plan.file, *([plan.fits_file] if laws else []), sep="\n")
    tell(
        [
            f"{number_of(len(study.runs), 'run')}, {number_of(len(study.fits), 'law')}. Next:",
            f"  neuroscaling plan {plan.file}    # what it costs",
            f"  neuroscaling run {plan.file}     # to its report, results/{plan.name}/report/index.html",
        ]
    )


def write_profile(options: argparse.Namespace) -> None:
    """Copy a profile of the pipeline to where `run` looks first. Raises StudyError where there is none, or one here."""
    name, folder = options.profile, Path("profiles") / options.profile
    known = shipped_profiles()
    if name not in known:
        allowed, near = ", ".join(known), nearest(name, known)
        what = "there is no such profile"
        raise StudyError(Problem(what=what, where="--profile", value=name, allowed=allowed, nearest=near))
    if given := [key for key, value in vars(options).items() if value and key not in ("profile", "command", "more")]:
        fix = "two commands: `neuroscaling init --profile NAME` writes no study, and copies to profiles/NAME here"
        raise StudyError(Problem(what="a study and a profile at once", where="init", value=", ".join(given), fix=fix))
    if folder.exists():
        fix = f"edit it: `neuroscaling run STUDY --profile {name}` takes it before the shipped one"
        raise StudyError(Problem(what="the profile is there already", where=str(folder), fix=fix))
    shipped = sorted(path for path in (PIPELINE / "profiles" / name).iterdir() if path.is_file())
    write_new({folder / path.name: path.read_text(encoding="utf-8") for path in shipped})
    for path in shipped:  # a profile's scripts are run
        (folder / path.name).chmod((folder / path.name).stat().st_mode | path.stat().st_mode & 0o111)
    print(*(folder / path.name for path in shipped), sep="\n")
    tell([f"Set these files for your site, then: neuroscaling run STUDY --profile {name}"])


def ask(options: argparse.Namespace) -> None:
    """Ask for what the options leave open; an empty answer takes what is in brackets."""
    options.images = answer(f"Training images: {DIGITS}, a folder, or {NONE}", DIGITS)
    if options.images == NONE:
        options.pretrained = answer("Weights: published or untrained", "published") == "published"
    options.networks = answer("Networks, with commas between", _usual_networks(options))
    options.recordings = answer(f"Recordings: {', '.join(KINDS)}, or a folder of your own", "simulated")
    if options.recordings in IN_FOLDERS:
        options.data = answer(f"Data of {options.recordings}: {IN_FOLDERS[options.recordings]}", "")
    if options.recordings in OF_THINGS:
        options.stimuli = answer("Folder of the images of THINGS", "")


def answer(question: str, usual: str) -> str:
    """What the user types, or `usual`. The question goes to standard error: files are listed on standard output."""
    print(f"{question} [{usual}]: " if usual else f"{question}: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or usual


def planned(options: argparse.Namespace) -> Plan:
    """The study that the options ask for. Raises StudyError with everything that is wrong with them."""
    file, name = target(options.path, options.name)
    images = options.images or (NONE if options.pretrained else DIGITS)
    kind = "pretrained" if options.pretrained else "untrained" if images == NONE else "trained"
    networks = _names(options.networks or _usual_networks(options))
    recordings = options.recordings or "simulated"
    if problems := list(_problems(name, images, kind, networks, recordings, options)):
        raise StudyError(problems)
    return Plan(
        name=name,
        file=file,
        networks=networks,
        kind=kind,
        images=_images(images),
        recordings=_recordings(recordings, options),
    )


def _names(text: str) -> tuple[str, ...]:
    """Names with commas or spaces between them, each once."""
    return tuple(dict.fromkeys(name for name in re.split(r"[,\s]+", text) if name))


def target(path: Path | None, name: str | None) -> tuple[Path, str]:
    """The study file and the study's name."""
    if path is None:
        return Path(f"{name or 'mine'}.yaml"), name or "mine"
    if path.suffix in (".yaml", ".yml"):
        return path, name or data_name(path.stem)
    name = name or data_name(path.resolve().name)
    return path / f"{name}.yaml", name


def write_new(texts: dict[Path, str]) -> None:
    """Write files that are not there yet, with their folder. Raises StudyError for those that are; then writes none."""
    if there := [path for path in texts if path.exists()]:
        fix = "another name, or delete it"
        raise StudyError([Problem(what="the file is there already", where=str(path), fix=fix) for path in there])
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)


def _usual_networks(options: argparse.Namespace) -> str:
    if options.pretrained:
        return PUBLISHED
    return OF_DIGITS if (options.images or DIGITS) in (DIGITS, NONE) else OF_IMAGES


def _problems(
    name: str, images: str, kind: str, networks: Iterable[str], recordings: str, options: argparse.Namespace
) -> Iterator[Problem]:
    """What is wrong with the options, all at once."""
    if not re.match(NAME, name):
        yield Problem(what="not a name of a study", where="--name", value=name, allowed=NAME_IN_WORDS)
    if kind == "pretrained" and images != NONE:
        what, fix = "published networks are trained already", "drop --images or --pretrained"
        yield Problem(what=what, where="--images", value=images, fix=fix)
    for network in networks:
        yield from architectures.architecture_problems(network)
    if images not in (DIGITS, NONE):
        yield from _folder_problems(Path(images))
    if recordings == NONE and images == NONE:
        what, fix = "nothing would be measured: no recordings, and no images to train on", "--recordings or --images"
        yield Problem(what=what, where="--recordings", value=recordings, fix=fix)
    if recordings in IN_FOLDERS and not options.data:
        fix = f"--data FOLDER: {IN_FOLDERS[recordings]}"
        yield Problem(what="the folder of the data is not named", where="--recordings", value=recordings, fix=fix)
    if (recordings in OF_THINGS or is_dotted_path(recordings)) and not options.stimuli:
        fix = "--stimuli FOLDER: the images that were shown"
        yield Problem(what="the folder of the images is not named", where="--recordings", value=recordings, fix=fix)
    if is_dotted_path(recordings):
        if not (_names(options.subjects) and _names(options.regions)):
            fix = "--subjects NAMES for whom it is called, and --regions NAMES that it returns"
            what = "nothing tells what the function returns"
            yield Problem(what=what, where="--recordings", value=recordings, fix=fix)
    elif recordings not in KINDS:
        yield from _own_problems(Path(recordings))


def _folder_problems(folder: Path) -> Iterator[Problem]:
    fix = "FOLDER/train/CLASS/IMAGE and FOLDER/val/CLASS/IMAGE; docs/datasets.md has other formats"
    if not folder.is_dir():
        near = nearest(str(folder), [DIGITS, NONE])
        yield Problem(what="there is no such folder", where="--images", value=str(folder), nearest=near, fix=fix)
    elif not (folder / "train").is_dir() or _validation(folder) is None:
        allowed = f"`train`, and one of {', '.join(VALIDATION)}, each with a folder a class"
        yield Problem(what="no training or no validation images", where=str(folder), allowed=allowed, fix=fix)


def _validation(folder: Path) -> str | None:
    return next((name for name in VALIDATION if (folder / name).is_dir()), None)


def _images(images: str) -> Images | None:
    if images == NONE:
        return None
    if images == DIGITS:
        return init_study.digits()
    return init_study.image_folder(Path(images), "train", _validation(Path(images)) or VALIDATION[0])


def _own_problems(folder: Path) -> Iterator[Problem]:
    if not folder.is_dir():
        near, allowed = nearest(str(folder), KINDS), f"{', '.join(KINDS)}, a folder, or package.module:function"
        yield Problem(what="unknown recordings", where="--recordings", value=str(folder), allowed=allowed, nearest=near)
        return
    fix = "docs/own-recordings.md has the layout: images/, responses.npy, units.csv, stimuli.csv"
    wanted = {"images/": (folder / "images").is_dir(), "responses.*": _table(folder, "responses", RESPONSES)}
    wanted |= {"units.csv": _table(folder, "units")}
    for what, found in wanted.items():
        if not found:
            yield Problem(what=f"no {what} in the folder of the recordings", where=str(folder), fix=fix)


def _table(folder: Path, stem: str, endings: Iterable[str] = ("csv", "parquet")) -> str | None:
    return next((f"{stem}.{ending}" for ending in endings if (folder / f"{stem}.{ending}").exists()), None)


def _recordings(kind: str, options: argparse.Namespace) -> Recordings | None:
    data, stimuli = options.data, options.stimuli
    match kind:
        case "none":
            return None
        case "simulated":
            return init_recordings.simulated()
        case "brainscore":
            return init_recordings.brainscore()
        case "v4":
            return init_recordings.v4(data)
        case "algonauts2023":
            return init_recordings.algonauts(data)
        case "nsd":
            return init_recordings.nsd(data)
        case "tvsd":
            return init_recordings.tvsd(data, stimuli)
        case "things_fmri":
            return init_recordings.things_fmri(data, stimuli)
    if is_dotted_path(kind):
        return init_recordings.own_function(kind, stimuli, _names(options.subjects), _names(options.regions))
    folder = Path(kind).resolve()
    table, name = _table(folder, "stimuli"), data_name(folder.name)
    has_split = table is not None and "split" in read_any_table(folder / table).columns
    entry = ArraysEncoding(
        source="arrays",
        name=name,
        data=LocalData(local=folder),
        images=Path("images"),
        stimuli=Path(table) if table else None,
        responses=Path(str(_table(folder, "responses", RESPONSES))),
        units=Path(str(_table(folder, "units"))),
        split=ColumnSplit(column="split") if has_split else DrawnSplit(),
    )
    return init_recordings.own_arrays(entry, name)
