"""A small case of each stage that has a version: seconds of work whose results tell whether the code still gives them.

Each function works in an empty folder and returns its results as JSON knows them: whole numbers and text, which have
to be equal, and lists of floats, which may differ as processors do.
"""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from neuroscaling.study.run_table import Run

Results = dict[str, Any]


def subsets(folder: Path) -> Results:
    """Images of subsets of a made-up data set, by every kind of token and two seeds."""
    from neuroscaling.datasets.split import DatasetIndex
    from neuroscaling.datasets.subset_file import read_subset, write_subset
    from neuroscaling.datasets.subset_sampling import draw_token

    sizes = (40, 25, 31, 52)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    names = [f"image-{7 * i % 1009:04d}" for i in range(len(labels))]
    index = DatasetIndex("made-up", "train", names, labels, ["ant", "bee", "cat", "dog"], "0" * 8)
    results = {}
    for token in ("1", "10", "all", "n50", "c2", "p5"):
        for seed in (0, 3):
            path = folder / f"{token}-s{seed}.parquet"
            write_subset(path, index, draw_token(index, token, seed), token, seed)
            columns, _ = read_subset(path)
            rows = zip(*(columns[name].tolist() for name in ("index", "image_id", "label", "class_name")), strict=True)
            results[path.stem] = _text_digest(map(str, rows))
    return results


def simulated(folder: Path) -> Results:
    """The files of a small simulated brain: numbers of arrays, pixels of images, words of tables."""
    from neuroscaling.simulate.brain import simulate_brain
    from neuroscaling.study.recording_jobs import BrainJob
    from neuroscaling.study.sections.simulated_brains import BrainSettings

    settings = BrainSettings(
        stimuli=100,
        neuroids_per_region=2,
        repetitions=2,
        algonauts_subjects=1,
        algonauts_train=20,
        algonauts_test=10,
        vertices=30,
    )
    simulate_brain(BrainJob(folder / "brain", settings))
    results, images = {}, []
    for path in sorted((folder / "brain").rglob("*")):
        name = path.relative_to(folder / "brain").as_posix()
        if path.suffix == ".png":
            images.append(f"{name} {_pixels(path)}")
        elif path.suffix in READERS:
            results |= {f"{name}{key}": _numbers(value) for key, value in READERS[path.suffix](path)}
        elif path.suffix == ".csv":
            results[name] = _text_digest(path.read_text(encoding="utf-8").splitlines())
    return results | {"images": _text_digest(images)}


def stimuli(folder: Path) -> Results:
    """Images of several modes and shapes, as they are and on screens that are wider and narrower than they are."""
    from PIL import Image

    from neuroscaling.stimuli.preparation import prepare_stimuli
    from neuroscaling.study.recording_jobs import StimuliJob
    from neuroscaling.study.stimulus_sources import ImageFolder

    (folder / "images").mkdir()
    pixels = _pattern(48, 64)
    made = {
        "colours.png": Image.fromarray(pixels),
        "gray.png": Image.fromarray(pixels[..., 0]),
        "palette.png": Image.fromarray(pixels).quantize(17),
        "see_through.png": Image.fromarray(np.dstack([pixels, pixels[..., 1]])),
        "tall.png": Image.fromarray(pixels.transpose(1, 0, 2)[:, :20]),
    }
    for name, image in made.items():
        image.save(folder / "images" / name)
    table = "\n".join(["stimulus_id,filename", *(f"{Path(name).stem},{name}" for name in made)])
    (folder / "stimuli.csv").write_text(table + "\n", encoding="utf-8")
    source = ImageFolder(folder, folder / "stimuli.csv", folder / "images", 4.0)
    results = {}
    for degrees in (None, 4.0, 8.0, 3.0):
        out = prepare_stimuli(StimuliJob(folder / f"set-{degrees}", (source,), degrees)).parent / "images"
        results[str(degrees)] = _text_digest(f"{path.stem} {_pixels(path)}" for path in sorted(out.iterdir()))
    return results


def networks(folder: Path) -> Results:
    """Networks as they are built, what they give for two images, and the same once their weights were read again."""
    import torch

    from neuroscaling.models.build import build
    from neuroscaling.models.checkpoints import build_pretrained
    from neuroscaling.models.weights import save_weights
    from neuroscaling.study.architectures import architecture

    results = {}
    for arch in ("resnet_w4", "vit_w16", "resnetflexfilters-f-1-16-20-19", "torchvision.shufflenet_v2_x0_5"):
        model = build(arch, 10, 3)
        results[f"{arch} weights"] = _of_tensors(model)
        with torch.no_grad():
            for value in model.parameters():  # some begin with zeros, which would hide what comes before them
                value += 0.1 * torch.from_numpy(_wave(value.numel()).reshape(value.shape)).float()
        size = architecture(arch).input_size
        images = torch.from_numpy(_wave(2 * 3 * size * size).reshape(2, 3, size, size)).float()
        with torch.no_grad():
            results[f"{arch} outputs"] = _numbers(model.eval()(images))
            save_weights(model, folder / f"{arch}.safetensors", {})
            again = build_pretrained(arch, folder / f"{arch}.safetensors").eval()
            results[f"{arch} read again"] = _numbers(again(images))
            torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, folder / f"{arch}.pt")
            other = build_pretrained(arch, folder / f"{arch}.pt").eval()
            results[f"{arch} of torch.save"] = _numbers(other(images))
    return results


def training(folder: Path) -> Results:
    """Losses and weights of a few steps on digits: every objective, and what the published recipes do."""
    from neuroscaling.study.run_table import RunJob
    from neuroscaling.study.sections.training_options import TrainingOptions
    from neuroscaling.training.train import train

    small = {"epochs": 2, "batch_size": 32, "warmup_epochs": 0.5, "precision": "fp32"}
    mixed = {
        "micro_batch": 16,
        "micro_batches": {},
        "drop_path": {"vit_w16": 0.1},
        "auto_augment": "rand-m9-n2-mstd0.5",
        "random_erasing": 0.5,
    }
    cases = {
        "digits": ("resnet_w4", "digits", small),
        "sgd": ("resnet_w4", "sgd100", small | {"batch_size": 16, "schedule": "linear", "ema": 0.9}),
        "deit": ("vit_w16", "deit300", small | mixed),
        "simclr": ("resnet_w4", "digits_simclr", small),
        "dino": ("vit_w16", "digits_dino", small),
        "adversarial": ("resnet_w4", "digits_ffgsm", small),
    }
    results = {}
    for name, (arch, recipe, changes) in cases.items():
        run, subset = _digit_run(folder, name, arch, recipe, changes)
        base = folder / "digits" if name == "adversarial" else None
        problem = train(RunJob(run, subset, folder / name, base), TrainingOptions(threads=1, device="cpu"))
        results |= {f"{name} {key}": value for key, value in _of_run(folder / name, arch).items()} | {
            f"{name} failed": problem
        }
    return results


def extraction(folder: Path) -> Results:
    """Activations of a residual network, a transformer and the baselines, reduced in each way.

    In full precision: what lower ones give depends on the processor.
    """
    from PIL import Image

    from neuroscaling.activations.extraction import extract
    from neuroscaling.activations.zarr_reading import open_store
    from neuroscaling.stimuli.preparation import prepare_stimuli
    from neuroscaling.study.extraction_job import ExtractionJob, FeatureSpec
    from neuroscaling.study.recording_jobs import StimuliJob
    from neuroscaling.study.run_table import Run, RunJob
    from neuroscaling.study.sections.extraction import ExtractionOptions, FeatureOptions, Layers, Reduction
    from neuroscaling.study.sections.training_options import TrainingOptions
    from neuroscaling.study.stimulus_sources import ImageFolder
    from neuroscaling.training.train import train

    (folder / "images").mkdir()
    for i in range(6):
        Image.fromarray(np.roll(_pattern(40, 40 + 4 * (i % 2)), 3 * i, 0)).save(folder / "images" / f"{i}.png")
    rows = "".join(f"s{i},{i}.png\n" for i in range(6))
    (folder / "stimuli.csv").write_text(f"stimulus_id,filename\n{rows}", encoding="utf-8")
    source = ImageFolder(folder, folder / "stimuli.csv", folder / "images", 4.0)
    manifest = prepare_stimuli(StimuliJob(folder / "set", (source,), None))
    none, grid = Reduction(), Reduction(kind="grid", sizes=[1, 2])
    projection = Reduction(kind="projection", components=8, seed=1)
    cases = [
        ("untrained", "resnet_w4", Layers(), none, FeatureOptions()),
        ("untrained", "resnet_w4", Layers(), grid, FeatureOptions(keep="both")),
        ("untrained", "resnet_w4", Layers(), Reduction(kind="max"), FeatureOptions(dtype="float16", crop=False)),
        ("untrained", "resnet_w4", Layers(candidates="conv"), projection, FeatureOptions()),
        ("untrained", "vit_w16", Layers(), none, FeatureOptions(tokens="mean")),
        ("untrained", "vit_w16", Layers(), none, FeatureOptions(tokens="class")),
        ("baseline", "pixels", Layers(), none, FeatureOptions()),
        ("baseline", "gabor", Layers(), none, FeatureOptions(normalise=False)),
    ]
    results = {}
    for i, (kind, arch, layers, reduction, options) in enumerate(cases):
        run = Run(f"{arch}-0000000{i}", kind, arch, "none", seed=5)
        train(RunJob(run, None, folder / run.run), TrainingOptions(threads=1, device="cpu"))
        out, asked = folder / f"{i}.json", FeatureSpec(layers, reduction, options)
        extract(ExtractionJob(run, folder / run.run, manifest, out, asked), ExtractionOptions(), device="cpu")
        stored = open_store(out)
        for layer in stored.layers:
            if stored.keeps(layer, "features"):
                results[f"{i} {arch} {layer}"] = _numbers(stored.read(layer))
            if stored.keeps(layer, "gram"):
                results[f"{i} {arch} {layer} gram"] = _numbers(stored.gram(layer).products)
    return results


def _digit_run(folder: Path, name: str, arch: str, recipe: str, changes: dict[str, Any]) -> tuple["Run", Path]:
    """A run on 6 digits a class, and the file of its images."""
    from neuroscaling.datasets.index import load_index
    from neuroscaling.datasets.settings import DatasetSettings
    from neuroscaling.datasets.subset_file import write_subset
    from neuroscaling.datasets.subset_sampling import draw_token
    from neuroscaling.study.recipes import Recipe, load_recipe
    from neuroscaling.study.run_table import Run

    digits = DatasetSettings("digits")
    index = load_index("digits", digits, "train")
    subset = folder / "6-s0.parquet"
    if not subset.exists():
        write_subset(subset, index, draw_token(index, "6", 0), "6", 0)
    content = Recipe.model_validate(load_recipe(recipe).model_dump() | changes)
    images = {
        "dataset": "digits",
        "dataset_settings": digits,
        "fingerprint": index.fingerprint,
        "subset": "6",
    }
    start = "digits-00000000" if name == "adversarial" else None
    run = Run(f"{name}-00000000", "trained", arch, "none", samples_per_class=6, recipe=content, start=start, **images)
    return run, subset


def _of_run(folder: Path, arch: str) -> Results:
    import pyarrow.parquet as pq

    from neuroscaling.core.files import read_object
    from neuroscaling.models.build import build
    from neuroscaling.models.weights import read_weights

    history = pq.read_table(folder / "history.parquet").to_pydict()
    record = read_object(folder / "run.json")
    tensors, _ = read_weights(folder / record["weights"])
    first = build(arch, 10, 0).state_dict()
    steps = {
        name: (tensors[name].double() - value.double()).numpy() for name, value in first.items() if name in tensors
    }
    return {
        "train loss": [value for value in history["train_loss"] if value is not None],
        "images seen": history["images_seen"],
        "learning rate": [value for value in history["learning_rate"] if value is not None],
        "weights": _of_values(value.ravel() for _, value in sorted(steps.items())),
    }


def _arrays(path: Path) -> Iterable[tuple[str, np.ndarray]]:
    loaded = np.load(path, allow_pickle=True)  # names of regions are a dictionary; the file was just made
    return [("", loaded)] if isinstance(loaded, np.ndarray) else [(f": {key}", loaded[key]) for key in sorted(loaded)]


def _variables(path: Path) -> Iterable[tuple[str, np.ndarray]]:
    import xarray

    with xarray.open_dataset(path) as data:
        return [(f": {name}", data[name].values) for name in sorted(map(str, data.variables))]


READERS: dict[str, Callable[[Path], Iterable[tuple[str, np.ndarray]]]] = {
    ".npy": _arrays,
    ".npz": _arrays,
    ".nc": _variables,
}


def _numbers(values: Any) -> Any:
    """What tells an array from others: shape, sums; of text the words, of whole numbers all of them, by their hash."""
    array = np.asarray(values)
    if array.dtype.kind in "biuOSU":
        return _text_digest(map(str, [array.shape, *array.ravel().tolist()]))
    return [*map(float, array.shape), *_of_values([array.astype(np.float64).ravel()])]


def _of_tensors(model: Any) -> list[float]:
    return _of_values(value.double().numpy().ravel() for _, value in sorted(model.state_dict().items()))


def _of_values(parts: Iterable[np.ndarray]) -> list[float]:
    """Number, mean of squares, and a mean with weights of the values, which tells their order."""
    values = np.concatenate(list(parts))
    finite = values[np.isfinite(values)]
    weighted = finite @ (1.5 + _wave(len(finite))) / max(len(finite), 1)
    return [float(len(values)), float(len(finite)), float(np.mean(finite**2)), float(weighted)]


def _wave(n: int) -> np.ndarray:
    """n numbers from -1 to 1 that repeat nowhere."""
    return np.cos(np.arange(n) * 1.2345)


def _pattern(height: int, width: int) -> np.ndarray:
    """A picture (height, width, 3) with edges and ramps."""
    y, x = np.mgrid[:height, :width]
    return np.stack([3 * x + y, 5 * y + 90 * (x // 16), (x * y) // 7], axis=-1).astype(np.uint8)


def _pixels(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as image:
        array = np.asarray(image)
        return hashlib.sha256(f"{image.mode} {array.shape}".encode() + array.tobytes()).hexdigest()[:16]


def _text_digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


CASES: dict[str, Callable[[Path], Results]] = {
    "subsets": subsets,
    "simulated": simulated,
    "stimuli": stimuli,
    "networks": networks,
    "training": training,
    "extraction": extraction,
}
