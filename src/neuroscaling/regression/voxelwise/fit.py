"""Cross-validated ridge is fitted for many targets and mapping sizes, exactly or by himalaya.

It decomposes every training set for every block of targets, in the type of the settings, and multiplies matrices of
n x n numbers for each penalty: slower, and another's code, which is what it is here for. Among penalties with equal
scores it takes the largest (it adds 1e-10 log alpha to the scores).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from neuroscaling.regression.voxelwise.blocks import Block, FeatureRows, FoldSums, Source, check_source, read_block
from neuroscaling.regression.voxelwise.budget import USED_BYTES_OF_MB, Part, Shape, block_width, groups_of, parts_of
from neuroscaling.regression.voxelwise.dual import DualSize, check_finite, dual_sizes, scaled
from neuroscaling.regression.voxelwise.primal import CrossProducts, Design, PrimalSize
from neuroscaling.regression.voxelwise.settings import MappingSize, RidgeSettings, sizes_of
from neuroscaling.regression.voxelwise.solver import Basis, Hats, Quadratic, Refit

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
    if settings.engine == "himalaya":
        return fit_himalaya(source, sizes, evaluate, targets, n_targets, settings)
    return _Sweep(source, sizes, evaluate, targets, n_targets, settings).fits()


def device_of(settings: RidgeSettings) -> torch.device:
    """The device that the settings name, else CUDA where there is one."""
    return torch.device(settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))


class _Sweep:
    """All sizes of one call."""

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
        self.shape = Shape(
            n_rows=source.n_rows,
            n_features=source.n_features if isinstance(source, FeatureRows) else None,
            n_evaluate=len(evaluate),
            n_alphas=len(settings.alphas),
            n_targets=n_targets,
            number=torch.finfo(self.dtype).bits // 8,
            cuda=self.device.type == "cuda",
        )
        held = sum(form.nbytes for form in self.forms.values() if isinstance(form, DualSize))
        self.memory = settings.memory_mb * USED_BYTES_OF_MB - held
        self.parts = [part for size in sizes for part in parts_of(size, self._is_primal(size), self.shape)]

    def _forms(self, source: Source, sizes: list[MappingSize], rows: np.ndarray) -> dict[int, PrimalSize | DualSize]:
        """Each size as problems in its features or in its rows, whichever are fewer."""
        standardise, intercept = self.settings.scale == "standardise", self.settings.intercept
        primal = [size for size in sizes if isinstance(source, FeatureRows) and source.n_features <= size.n]
        forms: dict[int, PrimalSize | DualSize] = {}
        if primal:
            check_finite(source.values, np.union1d(rows, self.evaluate))
            self.design = Design(source.values, rows, self.dtype, self.device)
            forms = {size.index: PrimalSize(size, self.design, standardise, intercept) for size in primal}
        others = [size for size in sizes if size.index not in forms]
        made = dual_sizes(source, others, self.evaluate, standardise, intercept, self.device)
        return forms | {form.size.index: form for form in made}

    def _is_primal(self, size: MappingSize) -> bool:
        return isinstance(self.forms[size.index], PrimalSize)

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

    def _prepare(self, group: list[Part]) -> list[Hats | Basis | Quadratic | Refit]:
        ready = []
        for i, part in enumerate(group):
            form = self.forms[part.size.index]
            if part.primal and (i == 0 or group[i - 1].size is not part.size):
                form.open()
            ready.append(self._prepared(part, form))
            if part.primal and (i + 1 == len(group) or group[i + 1].size is not part.size):
                form.close()
        return ready

    def _prepared(self, part: Part, form: PrimalSize | DualSize) -> Hats | Basis | Quadratic | Refit:
        alphas = self._alphas(form)
        if part.fold is None:
            whole = form.whole(self.evaluate) if part.primal else form.whole()
            return Refit(whole, alphas, self.dtype)
        if part.route == "quadratic":
            return Quadratic(*form.quadratic(part.fold), alphas, form.unit, self.dtype)
        kind = Hats if part.route == "hats" else Basis
        return kind(form.training(part.fold), alphas, form.unit, self.dtype)

    def _alphas(self, form: PrimalSize | DualSize) -> torch.Tensor:
        unit = form.unit if self.settings.relative and form.unit > 0 else 1.0
        return unit * torch.tensor(self.settings.alphas, dtype=torch.float64, device=self.device)

    def _block(
        self, group: list[Part], ready: list[Hats | Basis | Quadratic | Refit], start: int, stop: int
    ) -> Iterator[SizeFit]:
        like = torch.empty(0, dtype=self.dtype, device=self.device)
        block = read_block(self.targets, start, stop, self.rows, like)
        intercept = self.settings.intercept
        cross = CrossProducts(self.design, block, intercept) if any(part.primal for part in group) else None
        sums, size = FoldSums(block, intercept), None
        for part, prepared in zip(group, ready, strict=True):
            if part.size is not size:
                size = part.size
                sums = self._advance(part, block, cross)
            if part.fold is None:
                yield self._fit(part, prepared, block, cross, sums)
            else:
                self._add_scores(part, prepared, block, cross, sums)

    def _advance(self, part: Part, block: Block, cross: CrossProducts | None) -> FoldSums:
        if part.primal:
            cross.advance(part.size)
            return cross.sums
        sums = FoldSums(block, self.settings.intercept)
        for fold in part.size.folds:
            sums.add(int(fold), block.values[self._rows(part.size.rows[part.size.held_out(fold)])])
        return sums

    def _add_scores(
        self, part: Part, scorer: Hats | Basis | Quadratic, block: Block, cross: CrossProducts | None, sums: FoldSums
    ) -> None:
        shape = (len(self.settings.alphas), self.n_targets)
        if part.size.index not in self.curves:
            self.curves[part.size.index] = torch.zeros(shape, dtype=torch.float64, device=self.device)
        curve = self.curves[part.size.index][:, block.start : block.stop]
        held_out = self._rows(part.size.rows[part.size.held_out(part.fold)])
        trained = self._rows(part.size.rows[part.size.training(part.fold)])
        form = self.forms[part.size.index]
        for columns in _strips(block.stop - block.start, part.order + len(held_out), self.device):
            about = sums.held_out(part.fold, columns)
            if part.route == "quadratic":
                scores = scorer.score(self.settings.score, about, *cross.products(part.fold, columns))
            else:
                if part.primal:
                    right = cross.training(part.fold, form, columns)
                else:
                    right = block.values[:, columns][trained]
                    if not self.settings.intercept:
                        right += block.offset[columns]
                scores = scorer.score(self.settings.score, about, right, block.values[:, columns][held_out])
            curve[:, columns] += scores / len(part.size.folds)

    def _fit(self, part: Part, refit: Refit, block: Block, cross: CrossProducts | None, sums: FoldSums) -> SizeFit:
        form = self.forms[part.size.index]
        curve = self.curves[part.size.index][:, block.start : block.stop]
        choice = curve.argmax(0)
        # Without an intercept the offset adds nothing to predictions: the features' mean over the mapping rows is 0.
        mean = sums.total() / part.size.n + block.offset if self.settings.intercept else torch.zeros_like(sums.total())
        constant = sums.constant()
        whole = cross.of_all(form.mean) if part.primal else _rows_of(block, self._rows(part.size.rows))

        def predict(mask: np.ndarray) -> np.ndarray:
            chosen = torch.from_numpy(np.flatnonzero(np.asarray(mask, dtype=bool))).to(self.device)
            predicted = refit.predict(lambda part: whole(chosen[part]), choice[chosen])
            # Of a target that doesn't vary rounding alone is left on the right side.
            predicted[:, constant[chosen]] = 0
            predicted += mean[chosen].to(self.dtype)
            return predicted.cpu().numpy()

        score = curve.gather(0, choice[None])[0]
        alphas = self._alphas(form)
        arrays = (values.cpu().numpy() for values in (score, choice, alphas[choice]))
        return SizeFit(part.size.index, block.start, block.stop, *arrays, predict)

    def _rows(self, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(rows, dtype=np.int64)).to(self.device)


def _rows_of(block: Block, rows: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda chosen: block.values[rows[:, None], chosen]


def _strips(n_targets: int, rows: int, device: torch.device) -> Iterator[slice]:
    """Columns that are worked on at once: on a processor as many as its cache holds."""
    width = n_targets if device.type != "cpu" else int(np.clip(CACHE_NUMBERS // rows // 64 * 64, 128, 1024))
    for start in range(0, n_targets, width):
        yield slice(start, min(start + width, n_targets))


def fit_himalaya(
    source: Source,
    sizes: list[MappingSize],
    evaluate: np.ndarray,
    targets: Targets,
    n_targets: int,
    settings: RidgeSettings,
) -> Iterator[SizeFit]:
    """Yield each size and block of targets; arguments and errors as `fit_sizes`, each size fitted for itself."""
    for size in sizes:
        x, rest, unit, kernel = _himalaya_arrays(source, size, evaluate, settings)
        alphas = np.array(settings.alphas) * (unit if settings.relative and unit > 0 else 1.0)
        width = _himalaya_width(size, x.shape[1], source.n_rows, len(evaluate), settings)
        rows = torch.from_numpy(size.rows.astype(np.int64)).to(x.device)
        for start in range(0, n_targets, width):
            block = read_block(targets, start, min(start + width, n_targets), rows, x, settings.intercept)
            with _himalaya_backend(x.device):
                model = _himalaya_model(size, x, alphas, kernel, settings).fit(x, block.values[rows])
            choice = np.abs(np.log(model.best_alphas_.cpu().numpy())[:, None] - np.log(alphas)).argmin(1)
            score = model.cv_scores_.cpu().numpy().astype(np.float64)
            predict = _himalaya_predictor(model, rest, block.offset)
            yield SizeFit(size.index, block.start, block.stop, score, choice, alphas[choice], predict)


def _himalaya_arrays(
    source: Source, size: MappingSize, evaluate: np.ndarray, settings: RidgeSettings
) -> tuple[torch.Tensor, torch.Tensor, float, bool]:
    """Mapping and evaluation rows, as features or as inner products; the unit of penalties; whether inner products."""
    device, dtype = device_of(settings), getattr(torch, settings.dtype)
    standardise = settings.scale == "standardise"
    if isinstance(source, FeatureRows) and source.n_features <= size.n:
        check_finite(source.values, np.union1d(size.rows, evaluate))
        x, rest = scaled(source.values, size.rows, evaluate, standardise)
        unit, kernel = float((x * x).sum()) / size.n, False
    else:
        [form] = dual_sizes(source, [size], evaluate, standardise, settings.intercept, torch.device("cpu"))
        x, rest = form.products.numpy(), form.evaluated.numpy()
        unit, kernel = form.unit, True
    return *(torch.from_numpy(values).to(device, dtype) for values in (x, rest)), unit, kernel


def _himalaya_model(size: MappingSize, x: torch.Tensor, alphas: np.ndarray, kernel: bool, settings: RidgeSettings):
    from himalaya.kernel_ridge import KernelRidgeCV
    from himalaya.ridge import RidgeCV
    from himalaya.scoring import correlation_score, r2_score

    folds = [(size.training(fold), size.held_out(fold)) for fold in size.folds]
    number = 8 if settings.dtype == "float64" else 4
    # It holds penalties x columns x rows at once: as many penalties as half of the memory takes.
    at_once = settings.memory_mb * 10**6 // 2 // max(2 * number * x.shape[1] * size.n, 1)
    parameters = {
        "score_func": r2_score if settings.score == "r2" else correlation_score,
        "n_alphas_batch": int(np.clip(at_once, 1, len(alphas))),
    }
    shared = {"alphas": torch.from_numpy(alphas).to(x), "cv": folds, "fit_intercept": settings.intercept}
    if kernel:
        return KernelRidgeCV(kernel="precomputed", solver_params=parameters, **shared)
    return RidgeCV(solver_params=parameters | {"warn": False}, **shared)


def _himalaya_predictor(model, rest: torch.Tensor, offset: torch.Tensor) -> Callable[[np.ndarray], np.ndarray]:
    weights = getattr(model, "coef_", None)
    weights = model.dual_coef_ if weights is None else weights
    intercept = getattr(model, "intercept_", torch.zeros(weights.shape[1], dtype=weights.dtype))

    def predict(mask: np.ndarray) -> np.ndarray:
        chosen = torch.from_numpy(np.flatnonzero(np.asarray(mask, dtype=bool)))
        return (rest.cpu() @ weights.cpu()[:, chosen] + (intercept.cpu() + offset.cpu())[chosen]).numpy()

    return predict


def _himalaya_width(size: MappingSize, columns: int, n_rows: int, n_evaluate: int, settings: RidgeSettings) -> int:
    """Targets of a block: predictions of all penalties for one fold, weights, and the targets themselves."""
    number = 8 if settings.dtype == "float64" else 4
    held_out = max(len(size.held_out(fold)) for fold in size.folds)
    penalties = len(settings.alphas)
    of_target = number * (4 * penalties * held_out + 2 * (penalties + 1) * columns + 3 * n_rows + n_evaluate)
    return max(settings.memory_mb * 10**6 // 2 // of_target, 1)


@contextmanager
def _himalaya_backend(device: torch.device) -> Iterator[None]:
    from himalaya.backend import get_backend, set_backend

    before = get_backend()
    set_backend("torch_cuda" if device.type == "cuda" else "torch")
    try:
        yield
    finally:
        set_backend(before)
