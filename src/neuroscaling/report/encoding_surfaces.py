"""These figures show accuracy and preferred layers on the cortical surface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.report.encoding_data import Encoding
from neuroscaling.report.encoding_preference import MIN_R
from neuroscaling.report.figure import Drawing, LeftOut

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure


HEMISPHERES = {"lh": "left", "rh": "right"}
FSAVERAGE5_VERTICES, FSAVERAGE_VERTICES = 10242, 163842  # vertices of a hemisphere of fsaverage5 and of fsaverage
# Views by the axes of FreeSurfer's coordinates (x right, y front, z up): to the right, up, towards the viewer. From the
# sides they are those of the right hemisphere; the left one is seen from the other side.
VIEWS = {
    "lateral": ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    "medial": ((0, -1, 0), (0, 0, 1), (-1, 0, 0)),
    "ventral": ((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
}


@dataclass(frozen=True)
class Mesh:
    """One hemisphere in one view, seen from the front.

    points (V, 2): in the plane of the view; faces (F, 3): triangles from back to front; sulc (V,): sulcal depth.
    """

    hemisphere: str
    view: str
    points: NDArray[np.float64]
    faces: NDArray[np.int64]
    sulc: NDArray[np.float64]

    @property
    def shown(self) -> NDArray[np.float64]:
        """Points of the triangles that are drawn."""
        return self.points[np.unique(self.faces)]

    @cached_property
    def seen(self) -> NDArray[np.int64]:
        """The triangle that each pixel (PIXELS, width) shows, -1 for none."""
        return triangles_seen(self)


@cache
def fsaverage5() -> list[Mesh]:
    """The flat maps and three views of the inflated surfaces; 10,242 vertices a hemisphere, bundled with nilearn.

    FreeSurfer's icosahedral surfaces are nested: the vertices of fsaverage5 are the first 10,242 of fsaverage.
    """
    import nilearn
    from nibabel.gifti import GiftiImage

    # Its own readers would load scikit-learn, which takes longer than all that is done here.
    folder = Path(nilearn.__file__).parent / "datasets" / "data" / "fsaverage5"

    def read(what: str) -> Any:
        return GiftiImage.from_filename(folder / f"{what}.gii.gz").agg_data()

    found: list[Mesh] = []
    for hemisphere, side in HEMISPHERES.items():
        sulc = np.asarray(read(f"sulc_{side}"), dtype=float)
        (flat, flat_faces), (inflated, faces) = read(f"flat_{side}"), read(f"infl_{side}")
        points = np.asarray(flat, dtype=float)[:, :2]
        found.append(Mesh(hemisphere, "flat", points, np.asarray(flat_faces, dtype=np.int64), sulc))
        found += views(hemisphere, inflated, faces, sulc)
    return found


def fsaverage(folder: str | Path) -> list[Mesh]:
    """Three views of the inflated surfaces of fsaverage, 163,842 vertices a hemisphere.

    folder: FreeSurfer's subject folder `fsaverage`. Raises DataError with every file that is missing, and for
    surfaces of another size.
    """
    from nibabel.freesurfer import read_geometry, read_morph_data

    folder = Path(folder)
    names = [f"surf/{hemisphere}.{what}" for hemisphere in HEMISPHERES for what in ("inflated", "sulc")]
    fix = "give FreeSurfer's folder subjects/fsaverage"
    absent = [
        Problem(what="file is missing", where=str(folder / name), fix=fix)
        for name in names
        if not (folder / name).is_file()
    ]
    if absent:
        raise DataError(absent)
    found: list[Mesh] = []
    for hemisphere in HEMISPHERES:
        coordinates, faces = read_geometry(str(folder / f"surf/{hemisphere}.inflated"))
        sulc = read_morph_data(str(folder / f"surf/{hemisphere}.sulc"))
        if not len(coordinates) == len(sulc) == FSAVERAGE_VERTICES:
            where, value = str(folder / f"surf/{hemisphere}.inflated"), f"{len(coordinates)} and {len(sulc)} vertices"
            raise DataError(
                Problem(
                    what="surface of another subject",
                    where=where,
                    value=value,
                    allowed=f"{FSAVERAGE_VERTICES} vertices",
                    fix=fix,
                )
            )
        found += views(hemisphere, coordinates, faces, sulc)
    return found


def views(hemisphere: str, coordinates: NDArray, faces: NDArray, sulc: NDArray) -> list[Mesh]:
    """A hemisphere (V, 3) in each of VIEWS: triangles that face the viewer, from back to front."""
    found = []
    for view, axes in VIEWS.items():
        across, up, towards = (np.asarray(coordinates, dtype=float) @ np.array(axis, dtype=float) for axis in axes)
        if view != "ventral" and hemisphere == "lh":
            across, towards = -across, -towards
        points = np.column_stack([across, up])
        a, b, c = (points[faces[:, i]] for i in range(3))
        facing = np.cross(b - a, c - a) > 0
        shown = np.asarray(faces, dtype=np.int64)[facing]
        order = np.argsort(towards[shown].mean(axis=1), kind="stable")
        found.append(Mesh(hemisphere, view, points, shown[order], np.asarray(sulc, dtype=float)))
    return found


NAME, TITLE = "surface", "Accuracy, preferred depth and preferred grid on the surface"
MAPS = {
    "r": ("Accuracy, r", "inferno"),
    "depth": ("Preferred depth\n(0 first, 1 last layer)", "viridis"),
    "grid": ("Preferred grid size k", "cividis"),
}
MOST_RUNS = 2
HEIGHT, PIXELS = 1.15, 260  # of a surface: inches, and rows of its picture


def surface_figures(encoding: Encoding, fsaverage: str | Path | None = None) -> Iterator[Drawing | LeftOut]:
    """One figure for each of the first networks where vertices have a place on fsaverage.

    fsaverage: FreeSurfer's folder of that subject, for the full resolution.
    """
    size = FSAVERAGE_VERTICES if fsaverage else FSAVERAGE5_VERTICES
    placed = encoding.vertices[encoding.vertices["fsaverage"].between(0, size - 1)]
    if placed.empty:
        somewhere = (encoding.vertices["fsaverage"] >= 0).any()
        reason = (
            f"no vertex is among the first {size:,} of fsaverage"
            if somewhere
            else f"no {encoding.words.unit} is on fsaverage"
        )
        yield LeftOut(NAME, TITLE, reason)
        return
    runs = [run for run in encoding.runs if (placed["run"] == run).any()]
    for i, run in enumerate(runs[:MOST_RUNS]):
        yield _figure(encoding, placed[placed["run"] == run], run, fsaverage, f"{NAME}-{i + 1}" if runs[1:] else NAME)
    if runs[MOST_RUNS:]:
        rest = ", ".join(encoding.names()[run] for run in runs[MOST_RUNS:])
        reason = f"{MOST_RUNS} networks have this figure; without it: {rest}"
        yield LeftOut(f"{NAME}-more", TITLE, reason)


def _figure(encoding: Encoding, vertices: pd.DataFrame, run: str, folder: str | Path | None, name: str) -> Drawing:
    size = FSAVERAGE_VERTICES if folder else FSAVERAGE5_VERTICES
    means = on_surface(vertices, size)
    n = sum(int(np.isfinite(maps["r"]).sum()) for maps in means.values())
    resolution = (
        "fsaverage in full resolution." if folder else "fsaverage5, whose 10,242 vertices a hemisphere are the first "
        "10,242 of fsaverage's 163,842: the other vertices are not drawn."
    )  # fmt: skip
    filtered = f"Depth and grid: vertices with r above {MIN_R} in a subject." if len(_drawn(means)) > 1 else ""
    caption = (
        f"{encoding.names()[run]}, mean over {vertices['subject'].nunique()} subjects at each vertex that any of them "
        f"has; {n:,} vertices are drawn on {resolution} {filtered} Grey: sulcal depth; no data."
    )
    limits = (
        "Subjects were registered by their folds alone, so that functional areas need not lie on each other; a mean at "
        "the rim is of fewer subjects. r is not divided by a noise ceiling. A triangle shows the mean of those of its "
        "corners that have data."
    )
    title = f"{TITLE}: {encoding.names()[run]}"
    return Drawing(name, title, caption, limits, lambda: draw(means, fsaverage(folder) if folder else None))


def on_surface(vertices: pd.DataFrame, size: int) -> dict[str, dict[str, NDArray[np.float64]]]:
    """By hemisphere and map: the mean over subjects at each of the first `size` vertices of fsaverage, NaN for none."""
    good = vertices["r"] > MIN_R
    values = vertices.assign(
        depth=vertices["depth"].where(good), grid=vertices["grid"].astype(float).where(good & (vertices["grid"] > 0))
    )
    found = {}
    for hemisphere in HEMISPHERES:
        mine = values[(values["hemisphere"] == hemisphere) & (values["fsaverage"] < size)]
        means = mine.groupby("fsaverage")[list(MAPS)].mean().reindex(range(size))
        found[hemisphere] = {name: means[name].to_numpy(dtype=float) for name in MAPS}
    return found


def _drawn(means: dict[str, dict[str, NDArray]]) -> list[str]:
    """Maps that differ anywhere: one layer or one grid size makes no map."""
    joined = {name: np.concatenate([maps[name] for maps in means.values()]) for name in MAPS}
    finite = {name: values[np.isfinite(values)] for name, values in joined.items()}
    return [name for name, values in finite.items() if name == "r" or np.unique(values).size > 1]


def draw(means: dict[str, dict[str, NDArray[np.float64]]], surfaces: list[Mesh] | None = None) -> Figure:
    """A row for each map, a column for each hemisphere and view."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    surfaces = surfaces or fsaverage5()
    names = _drawn(means)
    widths = [np.ptp(mesh.shown[:, 0]) / np.ptp(mesh.shown[:, 1]) for mesh in surfaces]
    figure = Figure(figsize=(HEIGHT * sum(widths) + 1.2, HEIGHT * len(names) + 0.5), layout="constrained")
    axes = figure.subplots(len(names), len(surfaces), squeeze=False, gridspec_kw={"width_ratios": widths})
    for line, name in zip(axes, names, strict=True):
        hue = ScalarMappable(_range([maps[name] for maps in means.values()]), MAPS[name][1])
        for ax, mesh in zip(line, surfaces, strict=True):
            _surface(ax, mesh, means[mesh.hemisphere][name], hue)
        bar = figure.colorbar(hue, ax=list(line), pad=0.01, fraction=0.02, aspect=14)
        bar.set_label(MAPS[name][0], fontsize=7.5)
        bar.outline.set_visible(False)
    for ax, mesh in zip(axes[0], surfaces, strict=True):
        ax.set_title(f"{mesh.hemisphere} {mesh.view}", fontsize=7.5, loc="center")
    return figure


def _range(maps: list[NDArray[np.float64]]) -> Normalize:
    """From the lowest to the highest per cent of the values, so that a few vertices don't take all colours."""
    from matplotlib.colors import Normalize

    values = np.concatenate(maps)
    low, high = np.nanpercentile(values, [1, 99])
    return Normalize(low, high if high > low else low + 1)


def _surface(ax: Axes, mesh: Mesh, values: NDArray[np.float64], hue: ScalarMappable) -> None:
    """The surface as a picture: a hundred thousand triangles as shapes would make a file of many megabytes."""
    pixels = picture(mesh, face_colors(mesh, values, hue))
    ax.imshow(pixels, interpolation="none", aspect="equal")
    ax.set_axis_off()


def picture(mesh: Mesh, colors: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Triangles of `colors` (F, 4) from back to front as pixels (PIXELS, width, 4), transparent around them."""
    nothing = [[1.0, 1.0, 1.0, 0.0]]
    return np.rint(255 * np.concatenate([colors, nothing])).astype(np.uint8)[mesh.seen]


def triangles_seen(mesh: Mesh) -> NDArray[np.int64]:
    """The triangle in front at each pixel (PIXELS, width), -1 for none: drawn once for all maps, numbers as colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    low, high = mesh.shown.min(axis=0), mesh.shown.max(axis=0)
    width, height = high - low
    figure = Figure(figsize=(width / height, 1.0), dpi=PIXELS, facecolor="none")
    canvas = FigureCanvasAgg(figure)
    ax = figure.add_axes((0, 0, 1, 1), xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    ax.set_axis_off()
    corners: Any = mesh.points[mesh.faces]  # one array: matplotlib is twice as fast then, and its types don't say so
    numbers = np.arange(len(mesh.faces))
    digits = [numbers >> 16, numbers >> 8 & 255, numbers & 255, np.full_like(numbers, 255)]
    triangles = PolyCollection(corners, facecolors=np.stack(digits, 1) / 255, edgecolors="none", antialiased=False)
    ax.add_collection(triangles, autolim=False)  # the limits stand already
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba()).astype(np.int64)
    return np.where(pixels[..., 3] == 255, pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2], -1)


def face_colors(mesh: Mesh, values: NDArray[np.float64], hue: ScalarMappable) -> NDArray[np.float64]:
    """Colours (F, 4): the mean of the corners that have a value, sulcal depth in grey where none has one."""
    corners = values[mesh.faces]
    known = np.isfinite(corners)
    mean = np.where(known, corners, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    grey = np.where(mesh.sulc[mesh.faces].mean(axis=1) > 0, 0.72, 0.86)
    colors = np.column_stack([grey, grey, grey, np.ones(len(grey))])
    some = known.any(axis=1)
    colors[some] = hue.to_rgba(mean[some])
    return colors
