"""`neuroscaling init` writes a study with comments that runs as it stands, and the laws that its runs give rows to."""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from neuroscaling.cli import init_study
from neuroscaling.cli.init_study import DIGITS, NONE, Images, Plan, Recordings, data_name, fits_text, study_text
from neuroscaling.cli.output import counted, tell
from neuroscaling.core.errors import NeuroscalingError, Problem, StudyError, nearest
from neuroscaling.core.table_files import read_any_table
from neuroscaling.study import architectures
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.sections.encoding import ArraysEncoding
from neuroscaling.study.sections.key_types import NAME, NAME_IN_WORDS
from neuroscaling.study.sections.recordings import ColumnSplit, DrawnSplit, LocalData

KINDS = ("simulated", "v4", "algonauts2023", "brainscore", NONE)
OTHER_KINDS = "docs/data.md has the sources that you add by hand: nsd, tvsd, things_fmri, a function of your own"
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
    text = f"{', '.join(KINDS)}, or the folder of recordings of your own (docs/own-recordings.md)"
    parser.add_argument("--recordings", metavar="KIND", help=text)
    parser.add_argument("--data", default="", metavar="FOLDER", help="where the recordings of v4 or algonauts2023 lie")


def init(options: argparse.Namespace) -> None:
    """Write a study and its laws, and say what to do next.

    Asks on a terminal where no option is given. Raises StudyError, and leaves nothing, where a file is there already or
    the study can't be run.
    """
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
            f"{counted(len(study.runs), 'run')}, {counted(len(study.fits), 'law')}. Next:",
            f"  neuroscaling plan {plan.file}    # what it costs",
            f"  neuroscaling run {plan.file}     # to its report, results/{plan.name}/report/index.html",
        ]
    )


def ask(options: argparse.Namespace) -> None:
    """Ask for what the options leave open; an empty answer takes what is in brackets."""
    options.images = answer(f"Training images: {DIGITS}, a folder, or {NONE}", DIGITS)
    if options.images == NONE:
        options.pretrained = answer("Weights: published or untrained", "published") == "published"
    options.networks = answer("Networks, with commas between", _usual_networks(options))
    options.recordings = answer(f"Recordings: {', '.join(KINDS)}, or a folder of your own", "simulated")
    if options.recordings == "algonauts2023":
        options.data = answer("Folder of the Algonauts 2023 data", "")


def answer(question: str, usual: str) -> str:
    """What the user types, or `usual`. The question goes to standard error: files are listed on standard output."""
    print(f"{question} [{usual}]: " if usual else f"{question}: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or usual


def planned(options: argparse.Namespace) -> Plan:
    """The study that the options ask for. Raises StudyError with everything that is wrong with them."""
    file, name = target(options.path, options.name)
    images = options.images or (NONE if options.pretrained else DIGITS)
    kind = "pretrained" if options.pretrained else "untrained" if images == NONE else "trained"
    networks = tuple(dict.fromkeys(re.split(r"[,\s]+", (options.networks or _usual_networks(options)).strip(", "))))
    recordings = options.recordings or "simulated"
    if problems := list(_problems(name, images, kind, networks, recordings, options)):
        raise StudyError(problems)
    return Plan(
        name=name,
        file=file,
        networks=networks,
        kind=kind,
        images=_images(images),
        recordings=_recordings(recordings, options.data),
    )


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
    if recordings == "algonauts2023" and not options.data:
        fix = "--data FOLDER: the folder with subj01, subj02, ... (docs/fmri.md)"
        yield Problem(what="the folder of the data is not named", where="--recordings", value=recordings, fix=fix)
    if recordings not in KINDS:
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
        near, allowed = nearest(str(folder), KINDS), f"{', '.join(KINDS)}, or a folder; {OTHER_KINDS}"
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


def _recordings(kind: str, data: str) -> Recordings | None:
    match kind:
        case "none":
            return None
        case "simulated":
            return init_study.simulated()
        case "brainscore":
            return init_study.brainscore()
        case "v4":
            return init_study.v4(data)
        case "algonauts2023":
            return init_study.algonauts(data)
    folder = Path(kind).resolve()
    stimuli, name = _table(folder, "stimuli"), data_name(folder.name)
    has_split = stimuli is not None and "split" in read_any_table(folder / stimuli).columns
    entry = ArraysEncoding(
        source="arrays",
        name=name,
        data=LocalData(local=folder),
        images=Path("images"),
        stimuli=Path(stimuli) if stimuli else None,
        responses=Path(str(_table(folder, "responses", RESPONSES))),
        units=Path(str(_table(folder, "units"))),
        split=ColumnSplit(column="split") if has_split else DrawnSplit(),
    )
    return init_study.own_arrays(entry, name)
