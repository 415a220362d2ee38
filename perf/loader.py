"""Feeding photographs to a training: CPU milliseconds an image on one core, from files, from packs, from memory.

The reference is what most trainings do: PIL, torchvision's classic transforms (random crop to 224 pixels, flip, to
floating point, normalised) and stacking, from JPEG files of 500 x 375 pixels at quality 90. Ours, by the feed that a
training uses: `views` are ready for a network (the same work as the reference's); `pixels` are what goes to a GPU,
which does the rest there. `limit` is the bare decoder and crop in a loop, without a loader. Median of rounds in which
all take turns. `agreement`: mean difference of the same crop by both, as a share of the range of values. Last, how
crops of stored squares differ from crops of originals (docs/datasets.md).
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from common import quick, report, row
from PIL import Image
from sklearn.datasets import load_sample_images
from torch.nn import functional
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_jpeg

from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.pack_writing import write_pack
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.datasets.subset_sampling import draw
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.feeding.crops import COLUMNS, crop_each, random_boxes
from neuroscaling.training.feeding.decoded_images import forget_squares
from neuroscaling.training.feeding.protocols import Request
from neuroscaling.training.feeding.training_feed import ViewFeed, open_training_feed

SIZE, STORED, BATCH = 224, 256, 32
WIDTH, HEIGHT = 500, 375
SCALE = (0.08, 1.0)
NAME = "photographs"
REFERENCE = transforms.Compose(
    [
        transforms.RandomResizedCrop(SIZE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)


def photographs(root: Path, n: int) -> None:
    """n training images and one for validation: parts of the two photographs that come with scikit-learn."""
    pictures = [Image.fromarray(array) for array in load_sample_images().images]
    rng = np.random.default_rng(0)
    for split, count in (("train", n), ("val", 1)):
        (root / split / "one").mkdir(parents=True)
        for i in range(count):
            picture = pictures[i % 2]
            height = int(picture.height * rng.uniform(0.7, 1))
            width = height * WIDTH // HEIGHT
            left, top = (
                int(rng.integers(0, picture.width - width + 1)),
                int(rng.integers(0, picture.height - height + 1)),
            )
            part = picture.crop((left, top, left + width, top + height))
            part = part.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            part.save(root / split / "one" / f"{i:04d}.jpg", quality=90)


def feed_of(root: Path, n: int, crops: str, options: TrainingOptions, device: str = "cpu") -> ViewFeed:
    """A training's feed: crops of originals, of stored squares in memory, or of squares that are decoded each time."""
    settings = DatasetSettings("imagefolder", root=str(root))
    recipe = Recipe(
        name="r", epochs=1, batch_size=BATCH, optimizer="sgd", learning_rate=0.1, augmentation="crop_flip", crops=crops
    )
    index = load_index(NAME, settings, "train")
    subset = root / "all.parquet"
    write_subset(subset, index, draw(index, n, 0), n, 0)
    images = {"dataset": NAME, "dataset_settings": settings, "fingerprint": index.fingerprint}
    run = Run("r", "trained", "resnet18", "ResNet", **images, samples_per_class=n, subset=str(n), recipe=recipe)
    forget_squares()
    return open_training_feed(run, subset, SIZE, recipe, torch.device(device), options)


def requests(n: int) -> list[Request]:
    """One pass over all images."""
    return [Request(start, np.arange(start, start + BATCH), slice(0, BATCH)) for start in range(0, n, BATCH)]


def feeds(root: Path, n: int) -> dict[str, ViewFeed]:
    """The ways to the images, by what the table calls them."""
    packs = {}
    for size in (STORED, None):
        packs[size] = str(root / f"pack-{size}")
        write_pack(NAME, DatasetSettings("imagefolder", root=str(root)), "train", Path(packs[size]), size)
    return {
        "JPEG files": feed_of(root, n, "originals", TrainingOptions()),
        "JPEGs in a pack": feed_of(root, n, "originals", TrainingOptions(packs={NAME: packs[None]})),
        "256-pixel JPEGs": feed_of(root, n, "stored", TrainingOptions(packs={NAME: packs[STORED]}, resident_gb=1e-9)),
        "squares in memory": feed_of(root, n, "stored", TrainingOptions()),
    }


def reference(root: Path, n: int) -> Callable[[], None]:
    """torchvision's ImageFolder with PIL."""
    folder = ImageFolder(root / "train", REFERENCE)

    def run() -> None:
        for start in range(0, n, BATCH):
            torch.stack([folder[i][0] for i in range(start, start + BATCH)])

    return run


def limit(root: Path, n: int) -> Callable[[], None]:
    """Bytes in memory, decoded, cropped and resized one by one; nothing is kept."""
    contents = [bytearray(path.read_bytes()) for path in sorted((root / "train" / "one").iterdir())]
    boxes = random_boxes(np.random.default_rng(0).random((n, COLUMNS)), HEIGHT, WIDTH, SCALE).tolist()

    def run() -> None:
        for content, (top, left, height, width) in zip(contents, boxes, strict=True):
            image = decode_jpeg(torch.frombuffer(content, dtype=torch.uint8), mode=ImageReadMode.RGB)
            part = image[None, :, top : top + height, left : left + width]
            functional.interpolate(part, (SIZE, SIZE), mode="bilinear", antialias=True)

    return run


def pixels_of(feed: ViewFeed, n: int) -> Callable[[], None]:
    """What goes to a GPU, where it would be cropped (of squares) and normalised; here it is cropped too."""
    return lambda: consume(feed.crops(requests(n)))


def views_of(feed: ViewFeed, n: int) -> Callable[[], None]:
    """What goes into a network."""
    return lambda: consume(feed.batches(requests(n)))


def consume(items: Iterable) -> None:
    for _ in items:
        pass


def milliseconds(ways: dict[str, Callable[[], None]], n: int, rounds: int) -> dict[str, float]:
    """Median CPU milliseconds an image; all ways take turns."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            spent[name].append((time.process_time() - start) * 1000 / n)
    return {name: statistics.median(times) for name, times in spent.items()}


def agreement(root: Path) -> float:
    """Mean difference of the same crops by PIL and by us, as a share of the range."""
    path = next((root / "train" / "one").iterdir())
    boxes = random_boxes(np.random.default_rng(0).random((16, COLUMNS)), HEIGHT, WIDTH, SCALE)
    image = decode_jpeg(torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8), mode=ImageReadMode.RGB)
    ours = crop_each([image] * 16, boxes, np.zeros(16, bool), SIZE, "bilinear").permute(0, 2, 3, 1).numpy()
    with Image.open(path) as picture:
        crops = [picture.crop((x, y, x + w, y + h)) for y, x, h, w in boxes.tolist()]
    theirs = np.stack([np.asarray(crop.resize((SIZE, SIZE), Image.Resampling.BILINEAR)) for crop in crops])
    return float(np.abs(ours.astype(float) - theirs).mean() / 255)


def distributions() -> list[dict]:
    """Crops of stored squares against crops of originals of 500 x 375 pixels."""
    uniform = np.random.default_rng(0).random((200_000, COLUMNS))
    originals = random_boxes(uniform, HEIGHT, WIDTH, SCALE)[:, 2:]
    squares = random_boxes(uniform, STORED, STORED, SCALE)[:, 2:]
    scale = HEIGHT / STORED  # pixels of the original behind a stored one
    sides = {"stored": squares * scale, "original": originals}
    pixels = {"stored": squares, "original": originals}  # that there are to make a view of
    area = {name: (side.prod(1) / (HEIGHT * WIDTH)).mean() for name, side in sides.items()}
    aspect = {name: np.log(side[:, 1] / side[:, 0]).std() for name, side in sides.items()}
    blur = {name: np.maximum(1, SIZE / np.sqrt(side.prod(1))).mean() for name, side in pixels.items()}
    named = {
        "crops: area, of the image": area,
        "crops: spread of log aspect": aspect,
        "crops: view pixels a pixel": blur,
    }
    return [row(name, values["stored"], values["original"], 0, "1") for name, values in named.items()]


def table(n: int, rounds: int) -> list[dict]:
    """The lines of the comparison."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="loader-") as folder:
        root = Path(folder)
        photographs(root, n)
        named = feeds(root, n)
        ways = {"reference": reference(root, n), "limit": limit(root, n)}
        ways |= {f"{name}: views": views_of(feed, n) for name, feed in named.items()}
        ways |= {f"{name}: pixels": pixels_of(feed, n) for name, feed in named.items()}
        for way in ways.values():
            way()  # once unmeasured
        spent, off = milliseconds(ways, n, rounds), agreement(root)
    rows = [row(way, cost, spent["reference"], off, "CPU ms") for way, cost in spent.items() if ": " in way]
    rows.append(row("JPEGs in a pack: limit", spent["JPEGs in a pack: pixels"], spent["limit"], off, "CPU ms"))
    return rows + distributions()


if __name__ == "__main__":
    report("loader", table(*((64, 5) if quick(__doc__) else (256, 11))))
