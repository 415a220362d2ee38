"""Masks, ceilings and both splits of a subject must have the same vertices."""

from collections.abc import Iterator
from pathlib import Path

from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.algonauts.headers import Shapes
from neuroscaling.encoding.algonauts.layout import FSAVERAGE_VERTICES, HEMISPHERES
from neuroscaling.errors import Problem


def surface_size(folder: Path, shapes: Shapes) -> int:
    """Vertices of the surface that the masks in fsaverage's space are over: 163842, but in simulated trees."""
    sizes = [shapes[file][0] for file in _surface_files(folder) if file in shapes]
    return FSAVERAGE_VERTICES if FSAVERAGE_VERTICES in sizes or not sizes else max(sizes)


def width_problems(folder: Path, shapes: Shapes) -> Iterator[Problem]:
    """Files whose number of vertices isn't that of the training responses; shapes: of the files that can be read."""
    widths = [shapes[file][1] for file in layout.response_files(folder, "training")]
    size = surface_size(folder, shapes)
    pairs = [layout.response_files(folder, "test"), layout.ceiling_files(folder), layout.ncsnr_files(folder)]
    pairs += [layout.mask_files(folder, mask_class) for mask_class in layout.classes(folder)]
    for pair in pairs:
        yield from _pair_problems(pair, shapes, widths, size)
    for file in _surface_files(folder):
        if file in shapes and shapes[file] != (size,):
            what = "ROI mask of another space: not over fsaverage"
            yield Problem(what, str(file), f"shape {shapes[file]}", f"({size},)")


def _surface_files(folder: Path) -> list[Path]:
    masks = [file for c in layout.classes(folder) for file in layout.mask_files(folder, c, "fsaverage")]
    return layout.all_vertices_files(folder) + masks


def _pair_problems(pair: list[Path], shapes: Shapes, widths: list[int], surface: int) -> Iterator[Problem]:
    found = [shapes[file][-1] if file in shapes else None for file in pair]
    if widths[0] != widths[1] and found == widths[::-1]:
        what = "the hemispheres are swapped, here or in the training responses"
        value = f"{found[0]} vertices in {pair[0].name}, {found[1]} in {pair[1].name}"
        allowed = f"{widths[0]} and {widths[1]}, as the training responses have"
        yield Problem(what, str(pair[0].parent), value, allowed)
        return
    for file, there, width, side in zip(pair, found, widths, HEMISPHERES, strict=True):
        if there is not None and there != width:
            what = f"{there} vertices, but the {side} training responses have {width}"
            space = "ROI mask of another space: " if there == surface else ""
            fix = "this is a mask over fsaverage; take the one in the challenge's space" if space else ""
            yield Problem(space + what, str(file), f"shape {shapes[file]}", fix=fix)
