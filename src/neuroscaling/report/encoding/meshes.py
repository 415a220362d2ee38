"""Cortical surfaces to draw on: fsaverage5 as nilearn carries it, or fsaverage of a FreeSurfer installation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroscaling.errors import DataError, Problem

HEMISPHERES = {"lh": "left", "rh": "right"}
SMALL, FULL = 10242, 163842  # vertices of a hemisphere of fsaverage5 and of fsaverage
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


def fsaverage5() -> list[Mesh]:
    """The flat maps and three views of the inflated surfaces; 10,242 vertices a hemisphere, bundled with nilearn.

    FreeSurfer's icosahedral surfaces are nested: the vertices of fsaverage5 are the first 10,242 of fsaverage.
    """
    from nilearn import surface
    from nilearn.datasets import fetch_surf_fsaverage

    files = fetch_surf_fsaverage("fsaverage5")
    found: list[Mesh] = []
    for hemisphere, side in HEMISPHERES.items():
        sulc = np.asarray(surface.load_surf_data(files[f"sulc_{side}"]), dtype=float)
        flat = surface.load_surf_mesh(files[f"flat_{side}"])
        inflated = surface.load_surf_mesh(files[f"infl_{side}"])
        points = np.asarray(flat.coordinates, dtype=float)[:, :2]
        found.append(Mesh(hemisphere, "flat", points, np.asarray(flat.faces, dtype=np.int64), sulc))
        found += views(hemisphere, np.asarray(inflated.coordinates), np.asarray(inflated.faces), sulc)
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
        Problem("file is missing", str(folder / name), fix=fix) for name in names if not (folder / name).is_file()
    ]
    if absent:
        raise DataError(absent)
    found: list[Mesh] = []
    for hemisphere in HEMISPHERES:
        coordinates, faces = read_geometry(str(folder / f"surf/{hemisphere}.inflated"))
        sulc = read_morph_data(str(folder / f"surf/{hemisphere}.sulc"))
        if not len(coordinates) == len(sulc) == FULL:
            where, value = str(folder / f"surf/{hemisphere}.inflated"), f"{len(coordinates)} and {len(sulc)} vertices"
            raise DataError(Problem("surface of another subject", where, value, f"{FULL} vertices", fix=fix))
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
