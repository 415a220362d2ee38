"""A network is evaluated on images it was not trained on, by its labels or its features' neighbours."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from neuroscaling.models.batch_independence import never_one
from neuroscaling.study.recipes import OWN_VIEWS, Recipe
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.distributed import rank, summed, world
from neuroscaling.training.feeding.protocols import Feed, Request, Validation
from neuroscaling.training.feeding.training_feed import open_training_feed
from neuroscaling.training.feeding.validation import open_validation
from neuroscaling.training.loop import Training
from neuroscaling.training.schedule import BANK, evaluation_epochs
from neuroscaling.training.torch_runtime import autocast

BATCH = 256
Evaluator = Callable[[Training, int], tuple[float | None, float] | None]
Chunks = Iterable[tuple[torch.Tensor, torch.Tensor]]


def accuracy_kind(recipe: Recipe) -> str:
    """`top1`, or `knn` of features where labels are not trained on."""
    return "knn" if recipe.objective in OWN_VIEWS else "top1"


def evaluator(
    run: Run,
    subset: Path,
    size: int,
    recipe: Recipe,
    device: torch.device,
    options: TrainingOptions,
    classes: list[str] | None,
) -> Evaluator:
    """What evaluates the scored network after an epoch, where the recipe asks for it: loss and accuracy, else None.

    classes: those that the run has, where it has not all.
    """
    epochs = evaluation_epochs(recipe)
    validation = open_validation(run, size, recipe, device, options, classes)

    def on_labels(training: Training, epoch: int) -> tuple[float, float] | None:
        return evaluate(training.scored, validation, recipe.precision, device) if epoch in epochs else None

    def on_features(training: Training, epoch: int) -> tuple[None, float] | None:
        if epoch not in epochs:
            return None
        bank = open_training_feed(run, subset, size, _plain(recipe), device, options)
        try:
            return None, neighbours_accuracy(training.scored, bank, validation, recipe.precision, device)
        finally:
            bank.close()

    return on_features if accuracy_kind(recipe) == "knn" else on_labels


@torch.no_grad()
def evaluate(model: nn.Module, images: Validation, precision: str, device: torch.device) -> tuple[float, float]:
    """Mean cross-entropy and top-1 accuracy (a fraction) of `model` on the validation `images`.

    Several processes share the work. The model is left in the mode (training or evaluation) that it was in.
    """
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for logits, labels in _outputs(model, _mine(images.chunks(BATCH)), precision, device):
        sums[0] += functional.cross_entropy(logits, labels, reduction="sum")
        sums[1] += (logits.argmax(1) == labels).sum()
    loss, accuracy = (summed(sums) / images.n_images).tolist()
    return loss, accuracy


@torch.no_grad()
def neighbours_accuracy(
    model: nn.Module, training: Feed, validation: Validation, precision: str, device: torch.device
) -> float:
    """Accuracy of the 20 nearest neighbours, by what `model` gives (features), among at most 100,000 training images.

    These are evenly spread over the subset.
    Several processes share the work.
    """
    rows = np.unique(np.linspace(0, training.n_images - 1, min(BANK, training.n_images)).astype(np.int64))
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    requests = (Request(0, part, slice(0, len(part))) for part in parts[rank() :: world()])
    plain = ((batch.views[0], batch.labels) for batch in training.batches(requests))
    bank = [(features, labels) for features, labels in _outputs(model, plain, precision, device)]
    features, labels = _everyones(bank, len(rows), parts, device)
    right = torch.zeros(1, dtype=torch.float64, device=device)
    for queries, wanted in _outputs(model, _mine(validation.chunks(BATCH)), precision, device):
        right += knn_accuracy(features, labels, queries, wanted) * len(wanted)
    return float(summed(right)) / validation.n_images


def _outputs(model: nn.Module, chunks: Chunks, precision: str, device: torch.device) -> Iterator[Any]:
    """What `model` gives in evaluation mode for each chunk, float32, with the labels; never of a single image."""
    was_training = model.training
    model.eval()
    try:
        for pixels, labels in chunks:
            with autocast(precision, device):
                outputs = model(never_one(pixels))
            yield outputs[: len(labels)].float(), labels
    finally:
        model.train(was_training)


def _mine(chunks: Chunks) -> Chunks:
    """The chunks that this process has to do."""
    return (chunk for i, chunk in enumerate(chunks) if i % world() == rank())


def _everyones(
    bank: list[tuple[torch.Tensor, torch.Tensor]], n: int, parts: list[np.ndarray], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (n, d) and labels (n,) of all processes, in the order of the images."""
    starts = np.cumsum([0, *(len(part) for part in parts)])[:-1][rank() :: world()]
    width = summed(torch.tensor([bank[0][0].shape[1] if bank and rank() == 0 else 0], device=device))
    features = torch.zeros(n, int(width), device=device)
    labels = torch.zeros(n, dtype=torch.int64, device=device)
    for start, (some, theirs) in zip(starts.tolist(), bank, strict=True):
        features[start : start + len(some)] = some
        labels[start : start + len(theirs)] = theirs
    return summed(features), summed(labels)


def _plain(recipe: Recipe) -> Recipe:
    """The recipe of images as they are: nothing is changed at random."""
    same = ("interpolation", "validation_interpolation", "validation_resize")
    return Recipe(
        name="plain",
        epochs=1,
        batch_size=BATCH,
        optimizer="sgd",
        learning_rate=1.0,
        augmentation="none",
        **{key: getattr(recipe, key) for key in same},
    )


TEMPERATURE = 0.07
QUERIES = 1024  # at once: their similarities to a million images take 4 GB


@torch.no_grad()
def knn_accuracy(bank: Tensor, bank_labels: Tensor, queries: Tensor, labels: Tensor, k: int = 20) -> float:
    """Share of `queries` whose label their `k` nearest neighbours in `bank` vote for, as in DINO's evaluation.

    bank (n, features) and bank_labels int64 (n,): of training images; queries (m, features) and labels (m,): of
    validation images; all on one device. Near is a large cosine; a neighbour's vote weighs exp(cosine / 0.07) (Wu et
    al. 2018, with the settings of Caron et al. 2021).
    """
    bank = functional.normalize(bank.float(), dim=1)
    classes = int(max(bank_labels.max(), labels.max())) + 1
    right = 0
    for start in range(0, len(queries), QUERIES):
        rows = slice(start, start + QUERIES)
        cosines = functional.normalize(queries[rows].float(), dim=1) @ bank.T
        nearest, places = cosines.topk(min(k, len(bank)), dim=1)
        votes = cosines.new_zeros(len(cosines), classes)
        # Votes relative to the nearest one's, whose exponential alone may be large.
        votes.scatter_add_(1, bank_labels[places], ((nearest - nearest[:, :1]) / TEMPERATURE).exp())
        right += int((votes.argmax(1) == labels[rows]).sum())
    return right / len(queries)
