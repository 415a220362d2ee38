"""`extract` shows images to a network, and opens its stored responses lazily.

They are written by the pipeline's own extraction, batch by batch, into a store with the pipeline's layout and names.
What a study extracted is not extracted again, and the other way round.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.activations.layout import STIMULUS_ID, feature_dimension, group_path, split_entry
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.api.given import Network, is_given, network_of, stimuli_of
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.hashing import ArtefactName
from neuroscaling.core.installation import extras_told
from neuroscaling.study.artefact_names import Names
from neuroscaling.study.extraction_job import ExtractionJob, FeatureSpec
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.sections.extraction import Extraction
from neuroscaling.study.sections.validation import validated
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.study.sections.yaml_document import Document

if TYPE_CHECKING:
    import xarray as xr
    from torch import nn

STORE_VARIABLE = "NEUROSCALING_STORE"
STIMULUS, NEUROID, ACTIVATIONS = "stimulus", "neuroid", "activations"
DEFAULT = "default"
STATED: tuple[str, ...] = ("run", "kind", "arch", "weights_sha256", "set", "simulated", "reduction")
"""What of a manifest stands in the attributes of a tree."""


@extras_told()
def extract(
    network: "str | Path | nn.Module",
    images: str | Path | Sequence[str | Path],
    layers: str | Sequence[str] = DEFAULT,
    *,
    weights: str | Path | None = None,
    path: str | Path | None = None,
    reduction: str | Mapping[str, Any] = "none",
    tokens: str = "all",
    normalise: bool = True,
    crop: bool = True,
    dtype: str = "float32",
    input_size: int | None = None,
    seed: int = 0,
    batch: int = 64,
    workers: int = 0,
    device: str | None = None,
) -> "xr.DataTree":
    """Show images to a network, and return what its layers respond, opened lazily from Zarr.

    Args:
        network: a name that `neuroscaling models` lists, any of timm's, or `torchvision.<name>`; `pixels` or `gabor`;
            `package.module:function` that returns a network of one's own; a `torch.nn.Module`; or the folder of a
            finished run of a study, `store/runs/<run>`.
        images: a folder, a list of files, or the folder of a prepared stimulus set, `store/stimuli/<set>`. Stimuli are
            called as their files are; of files with one name in several folders, as their paths are.
        layers: `default` for those that studies extract by default; a pattern such as `block`, `conv`, `relu` or
            `all`; or names of modules.
        weights: `pretrained` for those that timm or torchvision publish, or a folder that has them as
            `<name>.safetensors`; `untrained` for a network as `seed` initialises it; or a file of any checkpoint. By
            default `pretrained`, and for a network of one's own as it comes.
        path: the store to write to, or to find what is there already. By default $NEUROSCALING_STORE, the store of a
            run, or a folder that is deleted when Python ends.
        reduction: `none`, or as the key `reduction:` of a study, such as `{"kind": "grid", "size": 2}`.
        tokens: of token models `all`, `class`, `patch` or their `mean`.
        normalise: whether the mean colour is subtracted, and the values are divided.
        crop: whether the middle of images is cut out where published weights were.
        dtype: of the stored values, `float32` or `float16`.
        input_size: pixels of each side that a network of one's own is shown, by default 224.
        seed: of a network that is not trained.
        batch: images of a forward pass. It changes no value.
        workers: processes that decode images; 0 for threads of this one.
        device: torch's name of the device; by default a GPU where there is one.

    Returns:
        A tree of xarray with a node for each layer, early to late. Each has the variable `activations` with the
            dimensions `stimulus` and `neuroid`. Values are read when they are asked for, and those parts alone. The
            memory of an extraction is that of one batch, whatever the number of images.

    Raises:
        NeuroscalingError: for an unknown network, layer or option, with the nearest name; for weights that can't be
            had; and for images that are missing or damaged.
    """
    options = {
        "reduction": {"kind": reduction} if isinstance(reduction, str) else dict(reduction),
        "extraction": {"tokens": tokens, "normalise": normalise, "crop": crop, "dtype": dtype, "batch": batch,
                       "workers": workers},
    }  # fmt: skip
    names = None if layers == DEFAULT else layers if isinstance(layers, str) else list(layers)
    with network_of(network, weights, seed, input_size) as found:
        study = _study(found, _store(path, found), options, names)
        job = _job(study, found, *stimuli_of(images, study.store))
        _make(job, study.config.extraction, found, device)
    # The readout is stored beside the layers that are asked for by name.
    return open_activations(job.output, names if isinstance(names, list) else None)


def open_activations(manifest: Path, layers: Sequence[str] | None = None) -> "xr.DataTree":
    """Stored activations as `extract` returns them. manifest: their JSON file; layers: those that are wanted.

    Raises DataError where they are missing or altered, and for layers of which only inner products are kept.
    """
    import xarray as xr

    stored = open_store(manifest)
    entries = [one for one in stored.layers if layers is None or one in layers or split_entry(one)[0] in layers]
    bare = [entry for entry in entries if not stored.keeps(entry, "features")]
    if bare:
        what, fix = "only inner products of these layers are kept", "extract them with `keep: features`, or `both`"
        raise DataError(Problem(what=what, where=str(manifest), value=listing(bare), fix=fix))
    record = stored.manifest.record
    about = {key: record[key] for key in STATED if key in record} | {"store": str(manifest)}
    # Without chunks a variable is read by parts, and no other package is needed; what was read is not kept.
    group = xr.open_dataset(group_path(manifest), engine="zarr", consolidated=False, chunks=None, cache=False)
    coordinates: dict[str, Any] = {STIMULUS: (STIMULUS, stored.stimulus_ids)}
    nodes = {"/": xr.Dataset(coords=coordinates, attrs=about)}
    for entry in entries:
        layer, size = split_entry(entry)
        values = group[[entry]].rename({STIMULUS_ID: STIMULUS, feature_dimension(entry): NEUROID, entry: ACTIVATIONS})
        of_layer: dict[str, Any] = {NEUROID: range(stored.shape(entry)[1]), "layer": layer}
        nodes[entry] = values.assign_coords(of_layer | ({"grid": size} if size else {}))
    return xr.DataTree.from_dict(nodes, name=str(record.get("arch") or record.get("run") or ""))


def _store(path: str | Path | None, found: Network) -> Path:
    """The store, wherever Python goes later: arrays are read from it when they are asked for."""
    if path is None and found.store is not None:
        return found.store
    return Path(path or os.environ.get(STORE_VARIABLE) or _passing_store()).absolute()


@cache
def _passing_store() -> Path:
    """A folder that is deleted when Python ends."""
    folder = Path(tempfile.mkdtemp(prefix="neuroscaling-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _study(found: Network, store: Path, options: Mapping[str, Any], layers: str | list[str] | None) -> LoadedStudy:
    """The study of this one network: names of artefacts follow from it, as from a study file."""
    content = {
        "study": "python",
        "store": str(store),
        "runs": [found.runs],
        **options,
        "layers": {} if layers is None else {found.arch: {"candidates": layers}},
    }
    config, document, faults = validated(Study, Document("extract()", content))
    if faults or config is None:
        raise DataError(document.problems(faults))
    return LoadedStudy(Path("extract()"), config)


def _job(study: LoadedStudy, found: Network, stimulus_set: str, manifest: Path) -> ExtractionJob:
    run = found.run or next(iter(study.runs.values()))
    definition = {"run": run.run, "stimuli": stimulus_set, **Names(study, [], []).extraction(run)}
    output = study.store.activations(run.run, str(ArtefactName(stimulus_set, definition)))
    folder = found.folder or study.store.run(run.run)
    return ExtractionJob(run, folder, manifest, output, FeatureSpec.of(definition), definition)


def _make(job: ExtractionJob, options: Extraction, found: Network, device: str | None) -> None:
    """Make the run and its activations, unless they are there."""
    if job.output.exists():
        return
    # Loading torch takes seconds, which who only opens what is there is spared.
    from neuroscaling.activations.extraction import extract as extract_activations
    from neuroscaling.study.run_table import RunJob
    from neuroscaling.study.sections.training_options import TrainingOptions
    from neuroscaling.training.train import train

    if found.run is not None and is_given(job.run.arch):
        what, fix = (
            "this run was a module that Python was given, and only its weights are kept",
            "give the module again",
        )
        raise DataError(Problem(what=what, where=job.run.run, fix=fix))
    if found.run is None:
        problem = train(RunJob(job.run, None, job.folder), TrainingOptions(device=device))
        if problem is not None:
            raise DataError(Problem(what="the network can't be made", where=job.run.arch, value=problem))
    extract_activations(job, options, device=device)
