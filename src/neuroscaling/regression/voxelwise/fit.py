"""Cross-validated ridge is fitted for many targets and nested mapping sizes, from sufficient statistics.

Each mapping size gives a linear system for each fold and one for the refit, in features or in rows, whichever are
fewer (primal.py, dual.py). Systems that memory holds together make a group; the targets pass each group in blocks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neuroscaling.core.counting import counted
from neuroscaling.regression.voxelwise.blocks import FeatureRows, Source, check_source, read_block
from neuroscaling.regression.voxelwise.budget import (
    USED_BYTES_OF_MB,
    FitPart,
    FitShape,
    block_width,
    groups_of,
    parts_of,
)
from neuroscaling.regression.voxelwise.dual import DualSystems, RowTargets, check_finite, dual_systems
from neuroscaling.regression.voxelwise.primal import CrossProducts, DesignMatrix, PrimalSystems
from neuroscaling.regression.voxelwise.settings import MappingSize, RidgeSettings, sizes_of
from neuroscaling.regression.voxelwise.solver import Eigenbasis, HatMatrices, QuadraticForms, Refit

Systems = PrimalSystems | DualSystems
RightSides = CrossProducts | RowTargets
Scorer = HatMatrices | Eigenbasis | QuadraticForms
Targets = Callable[[int, int], np.ndarray]
CACHE_NUMBERS = 2**21


@dataclass(frozen=True)
class SizeFit:
    """One mapping size (its number in the list of `orders`) fitted to the targets `start` to `stop`.

    cv_score (b,): the chosen penalty's score, float64; choice (b,): its number in `settings.alphas`; alpha (b,): the
    penalty itself, also where the settings give relative ones; predict: a boolean mask (b,) -> predictions of the
    evaluation rows (rows, targets of the mask) in the settings' dtype. It holds on to the block's products: call it
    before the next fit is asked for, then drop it.
    """

    size: int
    start: int
    stop: int
    cv_score: np.ndarray
    choice: np.ndarray
    alpha: np.ndarray
    predict: Callable[[np.ndarray], np.ndarray]


def fit_sizes(
    source: Source,
    orders: Sequence[np.ndarray],
    folds: Sequence[np.ndarray],
    evaluate: np.ndarray,
    targets: Targets,
    n_targets: int,
    settings: RidgeSettings,
) -> Iterator[SizeFit]:
    """Fit ridge with a penalty for each target, for each mapping size; yields each size and block of targets once.

    orders: for each size the row numbers of its mapping rows; folds: for each size the fold of each of them; evaluate:
    rows to predict; targets: (start, stop) -> (N, stop - start), of all rows (those of rows that no size maps are not
    used). Sizes that begin with the rows and folds of the size before them share its sums. A penalty is chosen by the
    mean score over folds, then the model is fitted to all mapping rows of the size.

    Raises ValueError for faulty settings, shapes, row numbers or folds, for features or targets that aren't finite
    (which, and how many), for a Gram matrix that is singular at the penalty 0, and for too little memory.
    """
    settings.check()
    check_source(source)
    sizes = sizes_of(orders, folds, evaluate, source.n_rows)
    evaluate = np.asarray(evaluate, dtype=np.int64)
    return _Sweep(source, sizes, evaluate, targets, n_targets, settings).fits()


def device_of(settings: RidgeSettings) -> torch.device:
    """The device that the settings name, else CUDA where there is one."""
    return torch.device(settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))


@dataclass(frozen=True)
class FoldScorer:
    """What scores the penalties on the rows that one fold holds out."""

    fold: int
    scorer: Scorer


class _Sweep:
    """All mapping sizes of one call."""

    def __init__(
        self,
        source: Source,
        sizes: list[MappingSize],
        evaluate: np.ndarray,
        targets: Targets,
        n_targets: int,
        settings: RidgeSettings,
    ) -> None:
        self.evaluate, self.targets, self.n_targets, self.settings = evaluate, targets, n_targets, settings
        self.device = device_of(settings)
        self.dtype = getattr(torch, settings.dtype)
        rows = np.unique(np.concatenate([size.rows for size in sizes]))
        self.rows = self._rows(rows)
        self.forms = self._forms(source, sizes, rows)
        self.shape = FitShape(
            n_rows=source.n_rows,
            n_features=source.n_features if isinstance(source, FeatureRows) else None,
            n_evaluate=len(evaluate),
            n_alphas=len(settings.alphas),
            n_targets=n_targets,
            number=torch.finfo(self.dtype).bits // 8,
            cuda=self.device.type == "cuda",
        )
        held = sum(form.nbytes for form in self.forms.values() if isinstance(form, DualSystems))
        self.memory = settings.memory_mb * USED_BYTES_OF_MB - held
        self.parts = [part for size in sizes for part in parts_of(size, self._is_primal(size), self.shape)]

    def _forms(self, source: Source, sizes: list[MappingSize], rows: np.ndarray) -> dict[int, Systems]:
        """The systems of each size in its features or in its rows, whichever are fewer."""
        standardise, intercept = self.settings.scale == "standardise", self.settings.intercept
        forms: dict[int, Systems] = {}
        if isinstance(source, FeatureRows) and (primal := [size for size in sizes if source.n_features <= size.n]):
            check_finite(source.values, np.union1d(rows, self.evaluate))
            design = DesignMatrix(source.values, rows, self.dtype, self.device)
            for size in primal:
                forms[size.index] = PrimalSystems(size, design, self.evaluate, standardise, intercept)
        others = [size for size in sizes if size.index not in forms]
        made = dual_systems(source, others, self.evaluate, standardise, intercept, self.device)
        return forms | {form.size.index: form for form in made}

    def _is_primal(self, size: MappingSize) -> bool:
        return isinstance(self.forms[size.index], PrimalSystems)

    def fits(self) -> Iterator[SizeFit]:
        self.curves: dict[int, torch.Tensor] = {}
        for group in groups_of(self.parts, self.memory, self.shape):
            ready = self._prepare(group)
            width = block_width(group, self.memory, self.n_targets, self.shape)
            for start in range(0, self.n_targets, width):
                yield from self._block(group, ready, start, min(start + width, self.n_targets))
            # Let go of before the next group is made.
            del ready
            for part in group:
                if part.fold is None:
                    self.curves.pop(part.size.index, None)

    def _prepare(self, group: list[FitPart]) -> list[Refit | FoldScorer]:
        ready = []
        for i, part in enumerate(counted(group, "system")):
            form = self.forms[part.size.index]
            if isinstance(form, PrimalSystems) and (i == 0 or group[i - 1].size is not part.size):
                form.open()
            ready.append(self._prepared(part, form))
            if isinstance(form, PrimalSystems) and (i + 1 == len(group) or group[i + 1].size is not part.size):
                form.close()
        return ready

    def _prepared(self, part: FitPart, form: Systems) -> Refit | FoldScorer:
        alphas = self._alphas(form)
        if part.fold is None:
            return Refit(form.whole(), alphas, self.dtype)
        scorer: Scorer
        if isinstance(form, PrimalSystems) and part.route == "quadratic":
            scorer = QuadraticForms(*form.quadratic(part.fold), alphas=alphas, unit=form.unit, dtype=self.dtype)
        else:
            kind = HatMatrices if part.route == "hats" else Eigenbasis
            scorer = kind(form.training(part.fold), alphas, form.unit, self.dtype)
        return FoldScorer(part.fold, scorer)

    def _alphas(self, form: Systems) -> torch.Tensor:
        unit = form.unit if self.settings.relative and form.unit > 0 else 1.0
        return unit * torch.tensor(self.settings.alphas, dtype=torch.float64, device=self.device)

    def _block(self, group: list[FitPart], ready: list[Refit | FoldScorer], start: int, stop: int) -> Iterator[SizeFit]:
        like = torch.empty(0, dtype=self.dtype, device=self.device)
        block = read_block(self.targets, start, stop, self.rows, like)
        intercept, crossed, size = self.settings.intercept, None, None
        for part, prepared in zip(group, ready, strict=True):
            if part.size is not size:
                size, form = part.size, self.forms[part.size.index]
                if isinstance(form, PrimalSystems):
                    # Sizes that extend each other share their products.
                    crossed = crossed or CrossProducts(form.design, block, intercept)
                    crossed.advance(form)
                    right: RightSides = crossed
                else:
                    right = RowTargets(block, intercept)
                    right.advance(form)
            if isinstance(prepared, Refit):
                yield self._fit(part, prepared, right)
            else:
                self._add_scores(part, prepared, right)

    def _add_scores(self, part: FitPart, one: FoldScorer, right: RightSides) -> None:
        shape, block, size = (len(self.settings.alphas), self.n_targets), right.block, part.size
        if size.index not in self.curves:
            self.curves[size.index] = torch.zeros(shape, dtype=torch.float64, device=self.device)
        curve = self.curves[size.index][:, block.start : block.stop]
        held_out = self._rows(size.rows[size.held_out(one.fold)])
        name, scorer = self.settings.score, one.scorer
        for columns in _strips(block.stop - block.start, part.order + len(held_out), self.device):
            about = right.sums.held_out(one.fold, columns)
            if isinstance(scorer, QuadraticForms):
                assert isinstance(right, CrossProducts), "quadratic forms are made of systems in features"
                scores = scorer.score(name, about, *right.products(one.fold, columns))
            else:
                own = block.values[:, columns][held_out]
                scores = scorer.score(name, about, right.training(one.fold, columns), own)
            curve[:, columns] += scores / len(size.folds)

    def _fit(self, part: FitPart, refit: Refit, right: RightSides) -> SizeFit:
        form, block = self.forms[part.size.index], right.block
        curve = self.curves[part.size.index][:, block.start : block.stop]
        choice = curve.argmax(0)

        def predict(mask: np.ndarray) -> np.ndarray:
            chosen = torch.from_numpy(np.flatnonzero(np.asarray(mask, dtype=bool))).to(self.device)
            return refitted(refit, right, part.size.n, self.settings.intercept, choice, chosen).cpu().numpy()

        score = curve.gather(0, choice[None])[0]
        alpha = self._alphas(form)[choice]
        return SizeFit(
            size=part.size.index,
            start=block.start,
            stop=block.stop,
            cv_score=score.cpu().numpy(),
            choice=choice.cpu().numpy(),
            alpha=alpha.cpu().numpy(),
            predict=predict,
        )

    def _rows(self, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(rows, dtype=np.int64)).to(self.device)


def refitted(
    refit: Refit, right: RightSides, n: int, intercept: bool, choice: torch.Tensor, chosen: torch.Tensor
) -> torch.Tensor:
    """Predictions (evaluation rows, some) of the targets `chosen` (numbers in the block).

    right: at a mapping size of n rows; choice (b,): number of each target's penalty.
    """
    sums, offset = right.sums, right.block.offset
    # Without an intercept the offset adds nothing to predictions: the features' mean over the mapping rows is 0.
    mean = sums.total() / n + offset if intercept else torch.zeros_like(sums.total())
    whole = right.whole()
    predicted = refit.predict(lambda part: whole(chosen[part]), choice[chosen])
    # Of a target that doesn't vary rounding alone is left on the right side.
    predicted[:, sums.constant()[chosen]] = 0
    return predicted.add_(mean[chosen].to(predicted.dtype))


def _strips(n_targets: int, rows: int, device: torch.device) -> Iterator[slice]:
    """Columns that are worked on at once: on a processor as many as its cache holds."""
    width = n_targets if device.type != "cpu" else int(np.clip(CACHE_NUMBERS // rows // 64 * 64, 128, 1024))
    for start in range(0, n_targets, width):
        yield slice(start, min(start + width, n_targets))
