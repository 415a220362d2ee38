"""Accuracy of one subject's predictions by region and hemisphere, and the same over resampled images.

Vertices share images and noise, so they are never resampled; images are.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.regression.denominators import divides
from neuroscaling.regression.scores import algonauts_score, bootstrap_correlations, normalised, prediction_correlation

# Mean r; mean signed r^2; that divided by the mean ceiling; the challenge's metric, per cent; 100 r|r| / ceiling.
MEASURES = ("r", "explained", "normalised", "challenge", "unclipped")
SIDES = ("lh", "rh")
BOTH = "both"
ALL_IMAGES = -1
BLOCK_BYTES = 128 << 20  # of correlations and of responses in float64, at once


def accuracy_of(
    predictions: np.ndarray,
    responses: np.ndarray,
    regions: Mapping[str, np.ndarray],
    hemisphere: np.ndarray,
    ceiling: np.ndarray | None,
    n_draws: int,
    seed: int,
    min_ceiling: float = 0.0,
) -> dict[str, np.ndarray]:
    """Columns of a table: a row for each region, hemisphere (`lh`, `rh`, `both`) and draw of images.

    predictions, responses: (images, vertices); regions: boolean (vertices,) by name; hemisphere (vertices,): `lh`,
    `rh` or `both`; ceiling (vertices,) in 0..1, or None. Vertices whose ceiling is below min_ceiling are left out
    (0: none is). Columns: region, hemisphere, draw (-1: all images; 0, 1, ...: resampled ones, the same for any
    predictions of as many images with one seed), n_vertices, n_with_ceiling (those whose ceiling can divide,
    `denominators.divides`, which `unclipped` is the mean of), and MEASURES; what needs a ceiling is NaN without.
    Regions without vertices have no row. Sums are in float64, memory is bounded in blocks of vertices. Raises DataError
    with all faults of shape and value.

    challenge: negative r set to 0, r^2 / ceiling, at most 100 %, mean over vertices (Gifford and others, arXiv
    2301.03198); zeroing and clipping both lift noisy vertices, hence `unclipped` and the pooled `normalised` beside it.
    """
    problems = list(_problems(predictions, responses, regions, hemisphere, ceiling, min_ceiling))
    if problems:
        raise DataError(problems)
    ceiling = None if ceiling is None else np.asarray(ceiling, np.float64)
    used = np.ones(len(hemisphere), bool) if ceiling is None else ceiling >= min_ceiling
    groups = _groups(regions, np.asarray(hemisphere), used)
    members = np.array(list(groups.values()), dtype=np.float64).reshape(len(groups), len(used)).T
    sums = {measure: np.zeros((1 + n_draws, len(groups))) for measure in MEASURES}
    for block in _blocks(len(predictions), predictions.shape[1], n_draws):
        r = _correlations(predictions[:, block], responses[:, block], n_draws, seed)
        for measure, values in _values(r, None if ceiling is None else ceiling[block]).items():
            sums[measure] += values @ members[block]
    return _table(groups, _means(sums, members, ceiling), ceiling, n_draws)


def _problems(
    predictions: np.ndarray,
    responses: np.ndarray,
    regions: Mapping[str, np.ndarray],
    hemisphere: np.ndarray,
    ceiling: np.ndarray | None,
    min_ceiling: float,
) -> Iterator[Problem]:
    n = responses.shape[-1]
    if predictions.shape != responses.shape or responses.ndim != 2:
        yield Problem(
            what="predictions and responses differ in shape",
            where="accuracy",
            value=predictions.shape,
            allowed=f"{responses.shape}",
        )
    for name, values in (("predictions", predictions), ("responses", responses)):
        bad = np.nonzero(~np.isfinite(values).all(0))[0]
        if len(bad):
            what = f"{len(bad)} vertices have NaN or infinite {name}"
            yield Problem(what=what, where="accuracy", value=listing(bad.tolist()), fix="leave these vertices out")
    by_vertex = {**regions, "hemisphere": hemisphere} | ({} if ceiling is None else {"ceiling": ceiling})
    for name, values in by_vertex.items():
        if np.shape(values) != (n,):
            yield Problem(
                what="not one value a vertex", where=f"accuracy: {name}", value=np.shape(values), allowed=f"({n},)"
            )
    unknown = sorted(set(np.unique(hemisphere).tolist()) - {*SIDES, BOTH})
    if unknown:
        yield Problem(
            what="no such hemisphere", where="accuracy", value=listing(unknown), allowed=", ".join((*SIDES, BOTH))
        )
    outside = [] if ceiling is None else np.nonzero(~((ceiling >= 0) & (ceiling <= 1)))[0].tolist()
    if outside:
        yield Problem(
            what=f"{len(outside)} ceilings are not in 0..1",
            where="accuracy",
            value=listing(outside),
            allowed="shares of variance",
        )
    if min_ceiling and ceiling is None:
        yield Problem(
            what="there is no ceiling to choose vertices by",
            where="accuracy: min_ceiling",
            value=min_ceiling,
            allowed="0",
        )


def _groups(regions: Mapping[str, np.ndarray], hemisphere: np.ndarray, used: np.ndarray) -> dict[tuple, np.ndarray]:
    """Boolean (vertices,) by region and hemisphere; those without vertices are left out."""
    sides = {BOTH: used} | {side: used & (hemisphere == side) for side in SIDES}
    groups = {(name, side): np.asarray(mask, bool) & sides[side] for name, mask in regions.items() for side in sides}
    return {key: mask for key, mask in groups.items() if mask.any()}


def _blocks(n_images: int, n_vertices: int, n_draws: int) -> Iterator[slice]:
    """Stretches of vertices whose resampled correlations and moments stay within BLOCK_BYTES."""
    width = max(1, BLOCK_BYTES // (8 * (8 * (1 + n_draws) + 8 * n_images)))
    return (slice(start, start + width) for start in range(0, n_vertices, width))


def _correlations(predictions: np.ndarray, responses: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """Pearson correlations (1 + n_draws, vertices): of all images, then of resampled ones."""
    x, y = np.asarray(predictions, np.float64), np.asarray(responses, np.float64)
    all_images = prediction_correlation(x, y)
    if not n_draws:
        return all_images[None]
    # A column that doesn't vary counts as 0, also where rounding lets it vary in a draw.
    draws = np.where(all_images == 0, 0.0, bootstrap_correlations(x, y, n_draws, seed))
    return np.vstack([all_images[None], draws])


def _values(r: np.ndarray, ceiling: np.ndarray | None) -> dict[str, np.ndarray]:
    """What is summed over vertices for each measure (draws, vertices)."""
    values = {"r": r, "explained": r * np.abs(r)}
    if ceiling is not None:
        values["challenge"] = algonauts_score(r, ceiling)
        values["unclipped"] = 100 * np.where(divides(ceiling), normalised(r, ceiling), 0.0)
    return values


def _means(sums: dict[str, np.ndarray], members: np.ndarray, ceiling: np.ndarray | None) -> dict[str, np.ndarray]:
    """Means over the vertices of each group (draws, groups)."""
    n = members.sum(0)
    means = {measure: sums[measure] / n for measure in ("r", "explained")}
    if ceiling is None:
        return means | {m: np.full_like(sums[m], np.nan) for m in ("normalised", "challenge", "unclipped")}
    with np.errstate(invalid="ignore", divide="ignore"):
        total = ceiling @ members
        means["normalised"] = np.where(divides(total / n), sums["explained"] / total, np.nan)
        with_ceiling = divides(ceiling) @ members
        means["unclipped"] = np.where(with_ceiling > 0, sums["unclipped"] / with_ceiling, np.nan)
    return means | {"challenge": sums["challenge"] / n}


def _table(
    groups: dict[tuple, np.ndarray], means: dict[str, np.ndarray], ceiling: np.ndarray | None, n_draws: int
) -> dict[str, np.ndarray]:
    """Draws of a group stand together, all images first."""
    rows = 1 + n_draws
    with_ceiling = [0 if ceiling is None else int(divides(ceiling[mask]).sum()) for mask in groups.values()]
    return {
        "region": np.repeat(np.array([region for region, _ in groups], dtype=str), rows),
        "hemisphere": np.repeat(np.array([side for _, side in groups], dtype=str), rows),
        "draw": np.tile(np.arange(ALL_IMAGES, n_draws), len(groups)),
        "n_vertices": np.repeat(np.array([int(mask.sum()) for mask in groups.values()], dtype=np.int64), rows),
        "n_with_ceiling": np.repeat(np.array(with_ceiling, dtype=np.int64), rows),
        **{measure: means[measure].T.ravel() for measure in MEASURES},
    }
