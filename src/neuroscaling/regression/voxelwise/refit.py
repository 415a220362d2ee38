"""The model on all mapping rows of a size, at each target's penalty."""

import torch

from neuroscaling.regression.voxelwise.solving import Training


class Refit:
    """Predictions of the evaluation rows; the matrix of a penalty is made when a target first needs it."""

    def __init__(self, training: Training, alphas: torch.Tensor, unit: float, dtype: torch.dtype) -> None:
        self.training, self.alphas, self.unit, self.dtype = training, alphas, unit, dtype
        self.hats: dict[int, torch.Tensor] = {}

    def predict(self, right: torch.Tensor, choice: torch.Tensor) -> torch.Tensor:
        """Predictions (rows, b) from right sides (d, b); choice (b,): number of each target's penalty."""
        chosen = torch.unique(choice).tolist()
        self._make([i for i in chosen if i not in self.hats])
        predicted = right.new_empty(len(self.training.rows), right.shape[1])
        for i in chosen:
            columns = (choice == i).nonzero()[:, 0]
            predicted[:, columns] = (self.hats[i] @ right[:, columns]) / (self.unit + self.alphas[i]).to(self.dtype)
        return predicted

    def _make(self, numbers: list[int]) -> None:
        if numbers:
            made = self.training.hats(self.alphas[numbers], self.unit, self.dtype)
            self.hats.update(zip(numbers, made, strict=True))
