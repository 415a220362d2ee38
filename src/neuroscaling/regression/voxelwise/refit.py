"""The model on all mapping rows of a size, at each target's penalty."""

import torch

from neuroscaling.regression.voxelwise.solving import Training


class Refit:
    """Predictions of the evaluation rows; the matrix of a penalty is made when a target first needs it."""

    def __init__(self, training: Training, alphas: torch.Tensor, dtype: torch.dtype) -> None:
        self.training, self.alphas, self.dtype = training, alphas, dtype
        self.hats: dict[int, torch.Tensor] = {}

    def predict(self, right: torch.Tensor, choice: torch.Tensor) -> torch.Tensor:
        """Predictions (rows, b) from right sides (d, b); choice (b,): number of each target's penalty."""
        predicted = right.new_empty(len(self.training.rows), right.shape[1])
        for i in torch.unique(choice).tolist():
            if i not in self.hats:
                # A factor for each penalty: an eigenbasis for all takes twice the memory, while targets are there.
                self.hats[i] = self.training.hat(self.alphas[i]).to(self.dtype)
            columns = (choice == i).nonzero()[:, 0]
            predicted[:, columns] = self.hats[i] @ right[:, columns]
        return predicted
