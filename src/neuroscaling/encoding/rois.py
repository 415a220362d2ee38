"""Regions of interest of the Algonauts 2023 Challenge, as scores name them. Light: imports nothing.

The integers of a mask are read from `mapping_<class>.npy`, never from here: they count the names of a class from 1 in
the challenge's own files, and need not in others. Not every subject has every ROI.
"""

ALL_VERTICES = "all-vertices"

CLASSES: dict[str, tuple[str, ...]] = {
    "prf-visualrois": ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"),
    "streams": ("early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"),
    "floc-bodies": ("EBA", "FBA-1", "FBA-2", "mTL-bodies"),
    "floc-faces": ("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"),
    "floc-places": ("OPA", "PPA", "RSC"),
    "floc-words": ("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"),
}
"""Class of ROIs (the name of its mask and mapping files): its ROIs as the mapping names them, in the challenge's order.
"""

GROUPS: dict[str, tuple[str, ...]] = {
    "V1": ("V1v", "V1d"),
    "V2": ("V2v", "V2d"),
    "V3": ("V3v", "V3d"),
    "FBA": ("FBA-1", "FBA-2"),
    "FFA": ("FFA-1", "FFA-2"),
    "VWFA": ("VWFA-1", "VWFA-2"),
}
"""Parts of one area, as one region."""


def _coarse() -> dict[str, tuple[str, tuple[str, ...]]]:
    group_of = {part: group for group, parts in GROUPS.items() for part in parts}
    names = {group_of.get(roi, roi): mask_class for mask_class, rois in CLASSES.items() for roi in rois}
    return {name: (mask_class, GROUPS.get(name, (name,))) for name, mask_class in names.items()}


def _parts() -> dict[str, tuple[str, tuple[str, ...]]]:
    parts = {part for group in GROUPS.values() for part in group}
    return {roi: (mask_class, (roi,)) for mask_class, rois in CLASSES.items() for roi in rois if roi in parts}


COARSE: dict[str, tuple[str, tuple[str, ...]]] = _coarse() | {ALL_VERTICES: ("", ())}
"""Region -> (class, names in its mapping), parts of an area taken together: regions that overlap by class alone."""

REGIONS: dict[str, tuple[str, tuple[str, ...]]] = COARSE | _parts()
"""Every region that can be asked for: those of COARSE, and the parts under their own names (V1v, FFA-1)."""
