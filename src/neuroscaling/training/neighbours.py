"""Accuracy of features that were learned without labels: each image is what its nearest neighbours are."""

import torch
from torch import Tensor
from torch.nn import functional

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
