"""The model on all mapping rows of a size, at each target's penalty."""

from collections.abc import Callable

import torch

from neuroscaling.regression.voxelwise.solving import Training


class Refit:
    """Predictions of the evaluation rows; the matrix of a penalty is made when a target first needs it."""

    def __init__(self, training: Training, alphas: torch.Tensor, dtype: torch.dtype) -> None:
        self.training, self.alphas, self.dtype = training, alphas, dtype
        self.hats: dict[int, torch.Tensor] = {}

    def predict(self, right: Callable[[torch.Tensor], torch.Tensor], choice: torch.Tensor) -> torch.Tensor:
        """Predictions (rows, b). right: numbers of targets -> their right sides (d, some); choice (b,): number of each
        target's penalty."""
        predicted = torch.empty(len(self.training.rows), len(choice), dtype=self.dtype, device=choice.device)
        for i in torch.unique(choice).tolist():
            if i not in self.hats:
                # A factor for each penalty: an eigenbasis for all takes twice the memory, while targets are there.
                self.hats[i] = self.training.hat(self.alphas[i]).to(self.dtype)
            columns = (choice == i).nonzero()[:, 0]
            predicted[:, columns] = self.hats[i] @ right(columns)
        return predicted
