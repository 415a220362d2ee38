"""What users of Python give: networks by name, file or as they are, and images; each becomes what a study has."""

import copy
import csv
import hashlib
import inspect
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.errors import DataError, Problem, StudyError, listing, nearest
from neuroscaling.core.files import require_file
from neuroscaling.core.hashing import file_sha1
from neuroscaling.core.records import DONE, RUN_RECORD, read_run
from neuroscaling.stimuli.manifest import MANIFEST, read_manifest
from neuroscaling.stimuli.preparation import prepare_stimuli
from neuroscaling.study.architectures import architecture
from neuroscaling.study.array_names import images_identity
from neuroscaling.study.checkpoint_tables import Checkpoint
from neuroscaling.study.own_arrays import PICTURES
from neuroscaling.study.own_networks import INPUT_SIZE, is_dotted
from neuroscaling.study.paths import Store
from neuroscaling.study.recording_jobs import StimuliJob
from neuroscaling.study.run_table import Run
from neuroscaling.study.stimulus_sets import StimulusSet
from neuroscaling.study.stimulus_sources import ListedImages

if TYPE_CHECKING:
    from torch import nn

PRETRAINED, UNTRAINED = "pretrained", "untrained"
BASELINES = ("pixels", "gabor")
GIVEN = "given_"
"""What the names of modules begin with that Python was given."""


@dataclass(frozen=True)
class Network:
    """A network as a study has it. runs: the group of `runs:` that it is; run, folder: of a run that is finished, where
    it is one, and store: the folder that this lies in."""

    arch: str
    runs: dict[str, Any]
    run: Run | None = None
    folder: Path | None = None
    store: Path | None = None


@contextmanager
def network_of(
    network: "str | Path | nn.Module", weights: str | Path | None, seed: int, input_size: int | None
) -> Iterator[Network]:
    """The network that is meant; within the block it can be built. Arguments as of `extract`.

    Raises StudyError for an unknown name, with the nearest; DataError for a run or a file of weights that is not there.
    """
    if not isinstance(network, str | os.PathLike):
        if weights is not None:
            what, fix = "weights beside a network that has its own", "load them into the module"
            raise StudyError(Problem(what=what, where="extract(): weights", value=weights, fix=fix))
        with _held(network, input_size or INPUT_SIZE) as held:
            yield held
        return
    name = str(network)
    if (Path(name) / RUN_RECORD).is_file():
        yield _finished(Path(name))
        return
    if name in BASELINES:
        yield Network(name, {"baselines": [name]})
        return
    arch = f"{name}@{input_size}" if input_size else name
    _require_architecture(arch, name)
    weights = weights or (UNTRAINED if is_dotted(name) else PRETRAINED)
    if weights == UNTRAINED:
        yield Network(arch, {"untrained": [arch], "seeds": [seed]})
    elif weights == PRETRAINED:
        yield Network(arch, {"pretrained": [arch]})
    elif Path(weights).is_dir():
        yield Network(arch, {"pretrained": [arch], "weights": str(weights)})
    else:
        file = Path(weights).absolute()
        require_file(file, f"a file of weights, `{PRETRAINED}` or `{UNTRAINED}`")
        with tempfile.TemporaryDirectory(prefix="neuroscaling-") as folder:
            yield Network(arch, _checkpoint(Path(folder), file.stem, arch, file))


def _require_architecture(arch: str, name: str) -> None:
    """Raise StudyError for an unknown architecture; a path that leads nowhere is told as one."""
    try:
        architecture(arch)
    except StudyError:
        if os.sep not in name:
            raise
        what, allowed = f"no run in this folder: it has no {RUN_RECORD}", "store/runs/<run>, or the name of a network"
        raise DataError(Problem(what=what, where="extract(): network", value=name, allowed=allowed)) from None


def _finished(folder: Path) -> Network:
    record = read_run(folder / RUN_RECORD)
    if record.status != DONE or record.arch is None:
        raise DataError(Problem(what="the run failed", where=str(folder), value=record.problem))
    checkpoint = None
    if record.kind == "checkpoint":
        crop = (record.training or {}).get("crop", 1.0)
        checkpoint = Checkpoint(record.run, str(folder), record.arch, crop=crop)
    run = Run(
        record.run, record.kind, record.arch, record.family or "", dataset=record.dataset, checkpoint=checkpoint,
        definition=record.definition or {},
    )  # fmt: skip
    place, kind = folder.absolute().parents[1], "baselines" if record.kind == "baseline" else "untrained"
    return Network(record.arch, {kind: [record.arch]}, run, folder, place)


def _checkpoint(folder: Path, name: str, arch: str, file: Path) -> dict[str, Any]:
    """The group of runs of a file of weights: a table of one checkpoint."""
    table = folder / "checkpoints.csv"
    with open(table, "w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([["id", "arch", "path"], [name, arch, str(file)]])
    return {"checkpoints": str(table)}


_modules: dict[str, "nn.Module"] = {}
BUILDER = """from neuroscaling.api.given import copy_of_given


def network(num_classes):
    return copy_of_given({name!r})
"""


def copy_of_given(name: str) -> "nn.Module":
    """A copy of a module that `extract` was given, for the module that `_held` writes."""
    return copy.deepcopy(_modules[name])


def is_given(arch: str) -> bool:
    """Whether this is the name of a module that `extract` was given: it can't be built from its name."""
    return is_dotted(arch) and arch.startswith(GIVEN)


@contextmanager
def _held(model: "nn.Module", input_size: int) -> Iterator[Network]:
    """A module becomes a network of one's own: a function of a name of its own returns copies of it."""
    from torch import nn

    from neuroscaling.models.build import plain
    from neuroscaling.models.weights import save_weights

    if not isinstance(model, nn.Module):
        allowed = "the name of a network, the folder of a run, or a torch.nn.Module"
        raise StudyError(
            Problem(what="not a network", where="extract(): network", value=type(model).__name__, allowed=allowed)
        )
    plainer = plain(copy.deepcopy(model).cpu(), type(model).__name__)
    name = f"{GIVEN}{type(plainer).__name__}_{_code_of(plainer)}"
    _modules[name] = plainer
    with tempfile.TemporaryDirectory(prefix="neuroscaling-") as place:
        folder = Path(place)
        (folder / f"{name}.py").write_text(BUILDER.format(name=name), encoding="utf-8")
        sys.path.insert(0, place)
        try:
            arch, file = f"{name}:network@{input_size}", folder / "weights.safetensors"
            save_weights(plainer, file, {"arch": arch, "classes": "0"})
            yield Network(arch, _checkpoint(folder, type(plainer).__name__, arch, file))
        finally:
            sys.path.remove(place)
            sys.modules.pop(name, None)
            del _modules[name]


def _code_of(model: "nn.Module") -> str:
    """What tells a module from others with equal weights: its classes' source, its structure and its settings.

    Where there is no source to be read the digits are new each time, so that nothing is taken for it that was stored.
    """
    try:
        own = {type(one) for one in model.modules() if not type(one).__module__.startswith("torch.")}
        sources = sorted(inspect.getsource(one) for one in own)
    except (OSError, TypeError):
        return uuid.uuid4().hex[:12]
    plain_types = (int, float, str, bool, tuple, type(None))
    settings = [
        [name, sorted((k, repr(v)) for k, v in vars(one).items() if k != "training" and isinstance(v, plain_types))]
        for name, one in model.named_modules()
    ]
    return hashlib.sha256(repr([sources, repr(model), settings]).encode()).hexdigest()[:12]


def stimuli_of(images: str | Path | Sequence[str | Path], store: Store) -> tuple[str, Path]:
    """The name and the manifest of the stimulus set that `images` (as of `extract`) are, prepared in the store.

    Raises DataError for a folder without images, for files that are missing, and for all that can't be decoded.
    """
    if isinstance(images, str | os.PathLike):
        folder = Path(images)
        if (folder / MANIFEST).is_file():
            return read_manifest(folder).set, folder / MANIFEST
        files = _pictures(folder)
    else:
        files = [Path(one) for one in images]
        folder = Path(os.path.commonpath([file.absolute().parent for file in files])) if files else Path()
    if absent := [str(file) for file in files if not file.is_file()] if files else ["none"]:
        what = f"{len(absent)} images are missing" if files else "the list of images is empty"
        near = nearest(Path(absent[0]).name, os.listdir(folder)) if files and folder.is_dir() else ""
        raise DataError(Problem(what=what, where="extract(): images", value=listing(absent, 5), nearest=near))
    listed = [(name, str(file.absolute()), file_sha1(file)) for name, file in zip(_ids(files), files, strict=True)]
    identity = images_identity(ListedImages(Path(), tuple((name, name, sha1) for name, _, sha1 in listed)))
    made = StimulusSet.of("images", identity, (ListedImages(folder.absolute(), tuple(listed)),))
    out = store.find(store.stimuli(made.name) / MANIFEST).parent
    return made.name, prepare_stimuli(StimuliJob(out, made.sources, None, dict(made.made.definition)))


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        near = nearest(folder.name, os.listdir(folder.parent)) if folder.parent.is_dir() else ""
        what, allowed = "no such folder of images", "a folder, a list of files, or a prepared stimulus set"
        raise DataError(Problem(what=what, where="extract(): images", value=str(folder), allowed=allowed, nearest=near))
    found = [file for file in folder.rglob("*") if file.suffix.lower() in PICTURES and not file.name.startswith(".")]
    if not found:
        raise DataError(Problem(what="no image in this folder", where=str(folder), allowed=", ".join(PICTURES)))
    return sorted(found, key=lambda file: file.relative_to(folder).as_posix())


def _ids(files: Sequence[Path]) -> list[str]:
    """Names of the files; where two are equal, their paths below the folder that all lie in."""
    names = [file.name for file in files]
    if len(set(names)) == len(names):
        return names
    paths = [file.absolute() for file in files]
    if twice := sorted({str(path) for path in paths if paths.count(path) > 1}):
        raise DataError(Problem(what="an image is named twice", where="extract(): images", value=listing(twice, 5)))
    root = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(root).as_posix() for path in paths]
