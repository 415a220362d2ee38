"""SIMULATED trees in the layout of the Algonauts 2023 Challenge whose truth is planted, for any images and features.

Each vertex follows one named feature set (a layer at a grid size, say) or none: its signal is linear in the leading
principal components of that set over the tree's images, and its noise has the variance that a given ceiling asks for.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import atomic_path, write_json
from neuroscaling.simulate.fmri import Hemisphere, draw_places, write_fmri, write_images
from neuroscaling.study.recording_folders import HEMISPHERES, SPLIT_PREFIXES
from neuroscaling.study.sections.simulated_brains import ROI_CLASSES
from tests.support.components import components

COMPONENTS = 6


@dataclass(frozen=True)
class Stretch:
    """Neighbouring vertices in both hemispheres.

    share: of the vertices (shares are scaled to sum to 1); features: the set that they follow, None for noise alone;
    ceiling: explainable share of the variance of the test rows, of each vertex; rois: names of the challenge.
    """

    share: float
    features: str | None
    ceiling: float = 0.8
    rois: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """One subject: its images in each split, its vertices by hemisphere, and what is broken.

    repeats: repetitions that are averaged into a row are drawn from these. nan: vertices without responses, by
    hemisphere. missing: ROIs that the subject lacks (their vertices respond, and have no name).
    """

    subject: str
    training: Sequence[int]
    test: Sequence[int]
    vertices: Mapping[str, int]
    repeats: tuple[int, ...] = (1, 2, 3)
    nan: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def unequal_plans(numbers: Sequence[int], n_subjects: int = 8, n_test: int = 12, vertices: int = 40) -> list[Plan]:
    """Plans of `n_subjects` that differ in images, vertices, ROIs and broken vertices; test images come last."""
    plans = []
    for i in range(n_subjects):
        test, left = n_test - i % 3, vertices - i % 2
        plans.append(
            Plan(
                f"subj{i + 1:02d}",
                numbers[: len(numbers) - n_test - 2 * (i % 4)],
                numbers[-test:],
                {"lh": left, "rh": left + 3},
                nan={"rh": (left,)} if i == 1 else {},
                missing=("FFA-2", "mTL-words") if i == 2 else (),
            )
        )
    return plans


def write_tree(
    root: str | Path,
    images: Mapping[int, bytes | np.ndarray],
    features: Mapping[str, np.ndarray],
    stretches: Sequence[Stretch],
    plans: Sequence[Plan],
    seed: int = 0,
    withheld: bool = False,
) -> Path:
    """Write a simulated tree below `root`. Returns the path of its truth, `truth.json`.

    images: NSD number -> PNG or pixels (height, width, 3) uint8; features: name -> (images, p), rows in the order of
    `images`. withheld: without test responses and noise ceilings, as the public archive is. truth.json says, a subject
    and hemisphere, which set each vertex follows, its ceiling, and what is broken. The same arguments give the same
    files. Raises DataError for a folder that holds something, and for sets, ROIs and images that a plan names and that
    aren't there.
    """
    root = Path(root)
    problems = [*_folder_problems(root), *_feature_problems(images, features, stretches)]
    problems += [*_roi_problems(stretches, plans), *_image_problems(images, plans)]
    if problems:
        raise DataError(problems)
    rows = {number: row for row, number in enumerate(images)}
    signals = {name: _components(values) for name, values in features.items()}
    truth = {}
    with atomic_path(root) as folder:
        files = _image_files(folder, images)
        for i, plan in enumerate(plans):
            rng = np.random.default_rng([seed, i])
            truth[plan.subject] = _write_subject(folder, files, rows, signals, stretches, plan, withheld, rng)
        shutil.rmtree(folder / "images")
        content = {"format": "simulated-tree/1", "simulated": True, "seed": seed, "subjects": truth}
        write_json(folder / "truth.json", content)
    return root / "truth.json"


def _write_subject(
    root: Path,
    files: Mapping[int, Path],
    rows: Mapping[int, int],
    signals: Mapping[str, np.ndarray],
    stretches: Sequence[Stretch],
    plan: Plan,
    withheld: bool,
    rng: np.random.Generator,
) -> dict[str, dict[str, list]]:
    """Files and truth of one subject."""
    folder = root / plan.subject
    shown = {"training": sorted(plan.training), "test": sorted(plan.test)}
    for split in SPLIT_PREFIXES:
        write_images(folder, split, files, shown[split])
    order = [rows[number] for split in SPLIT_PREFIXES for number in shown[split]]
    repeats = rng.choice(plan.repeats, len(order))
    hemispheres, truth = {}, {}
    for side in HEMISPHERES:
        own = _stretch_of(stretches, plan.vertices[side])
        seen = {name: values[order] for name, values in signals.items()}
        hemispheres[side] = _hemisphere(own, seen, repeats, len(plan.training), plan, side, rng)
        truth[side] = {
            "features": [stretch.features for stretch in own],
            "ceiling": [_ceiling(stretch) for stretch in own],
            "nan": list(plan.nan.get(side, ())),
        }
    write_fmri(folder, hemispheres, repeats, len(plan.training), withheld)
    return truth


def _hemisphere(
    stretches: Sequence[Stretch],
    signals: Mapping[str, np.ndarray],
    repeats: np.ndarray,
    n_train: int,
    plan: Plan,
    side: str,
    rng: np.random.Generator,
) -> Hemisphere:
    """Responses of one hemisphere: unit signal, and noise by the ceiling and each row's repetitions; then z-scored."""
    ceiling = np.array([_ceiling(stretch) for stretch in stretches])
    # ceiling = ncsnr^2 / (ncsnr^2 + w), w the mean of 1 / repetitions over the test rows.
    ncsnr = np.sqrt(ceiling / (1 - ceiling) * (1 / repeats[n_train:]).mean())
    signal = np.stack([_signal(stretch, signals, len(repeats), rng) for stretch in stretches], axis=1)
    noise = rng.standard_normal(signal.shape) / np.sqrt(repeats)[:, None]
    responses = ncsnr * signal + noise
    responses = (responses - responses.mean(0)) / responses.std(0)
    responses[:, list(plan.nan.get(side, ()))] = np.nan
    return Hemisphere(responses, ceiling, ncsnr, _rois(stretches, plan.missing), draw_places(len(stretches), rng))


def _signal(stretch: Stretch, signals: Mapping[str, np.ndarray], n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """A random mixture of the components of the stretch's features, (rows,), with mean 0 and variance 1."""
    if stretch.features is None:
        return np.zeros(n_rows)
    components = signals[stretch.features]
    mixed = components @ rng.standard_normal(components.shape[1])
    return (mixed - mixed.mean()) / mixed.std()


def _components(values: np.ndarray) -> np.ndarray:
    """Leading principal components (images, at most COMPONENTS) of features (images, p), each with variance 1."""
    return components(values, COMPONENTS) * np.sqrt(len(values))


def _ceiling(stretch: Stretch) -> float:
    return stretch.ceiling if stretch.features is not None else 0.0


def _stretch_of(stretches: Sequence[Stretch], n_vertices: int) -> list[Stretch]:
    shares = np.array([stretch.share for stretch in stretches])
    ends = np.round(np.cumsum(shares) / shares.sum() * n_vertices).astype(int)
    return [stretches[np.searchsorted(ends, vertex, side="right")] for vertex in range(n_vertices)]


def _rois(stretches: Sequence[Stretch], missing: Sequence[str]) -> dict[str, list[str]]:
    present = [set(stretch.rois) - set(missing) for stretch in stretches]
    return {c: [next((roi for roi in names if roi in own), "") for own in present] for c, names in ROI_CLASSES.items()}


def _image_files(root: Path, images: Mapping[int, bytes | np.ndarray]) -> dict[int, Path]:
    """Each image once, to be copied to the subjects that saw it."""
    folder = root / "images"
    folder.mkdir(parents=True)
    files = {number: folder / f"{number}.png" for number in images}
    for number, image in images.items():
        if isinstance(image, bytes):
            files[number].write_bytes(image)
        else:
            Image.fromarray(image).save(files[number], compress_level=1)
    return files


def _folder_problems(root: Path) -> list[Problem]:
    if root.exists() and any(root.iterdir()):
        return [
            Problem(
                what="the folder holds something", where=str(root), fix="name a folder that is empty or isn't there"
            )
        ]
    return []


def _feature_problems(
    images: Mapping[int, bytes | np.ndarray], features: Mapping[str, np.ndarray], stretches: Sequence[Stretch]
) -> list[Problem]:
    problems = [
        Problem(
            what="features of other images",
            where=name,
            value=f"{len(values)} rows",
            allowed=f"{len(images)}, one an image",
        )
        for name, values in features.items()
        if len(values) != len(images)
    ]
    problems += [
        Problem(what="features with NaN, or that don't vary", where=name)
        for name, values in features.items()
        if not (np.isfinite(values).all() and np.ptp(values, axis=0).any())
    ]
    wanted = {stretch.features for stretch in stretches if stretch.features is not None}
    for name in sorted(wanted - set(features)):
        problems.append(
            Problem(
                what="no such features",
                where="stretches",
                value=name,
                allowed=listing(list(features)),
                nearest=nearest(name, features),
            )
        )
    for stretch in stretches:
        if not 0 <= stretch.ceiling < 1:
            problems.append(
                Problem(
                    what="ceiling out of range", where="stretches", value=stretch.ceiling, allowed="from 0 to below 1"
                )
            )
    return problems


def _roi_problems(stretches: Sequence[Stretch], plans: Sequence[Plan]) -> list[Problem]:
    known = [roi for rois in ROI_CLASSES.values() for roi in rois]
    named = {roi for part in (*stretches, *plans) for roi in (part.rois if isinstance(part, Stretch) else part.missing)}
    return [
        Problem(what="unknown ROI", where="stretches", value=roi, allowed=listing(known), nearest=nearest(roi, known))
        for roi in sorted(named - set(known))
    ]


def _image_problems(images: Mapping[int, bytes | np.ndarray], plans: Sequence[Plan]) -> list[Problem]:
    problems = []
    for plan in plans:
        absent = sorted({*plan.training, *plan.test} - set(images))
        if absent:
            problems.append(
                Problem(
                    what="images that aren't there",
                    where=plan.subject,
                    value=listing(absent),
                    allowed="keys of `images`",
                )
            )
    return problems
