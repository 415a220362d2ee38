"""Regions of interest of the Algonauts 2023 Challenge, as scores name them. Light: imports nothing."""

ALL_VERTICES = "all-vertices"

# Region -> (mask file, names in its mapping). Ventral and dorsal parts of an area are one region.
REGIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "V1": ("prf-visualrois", ("V1v", "V1d")),
    "V2": ("prf-visualrois", ("V2v", "V2d")),
    "V3": ("prf-visualrois", ("V3v", "V3d")),
    "hV4": ("prf-visualrois", ("hV4",)),
    "early": ("streams", ("early",)),
    "midventral": ("streams", ("midventral",)),
    "midlateral": ("streams", ("midlateral",)),
    "midparietal": ("streams", ("midparietal",)),
    "ventral": ("streams", ("ventral",)),
    "lateral": ("streams", ("lateral",)),
    "parietal": ("streams", ("parietal",)),
    "EBA": ("floc-bodies", ("EBA",)),
    "FBA": ("floc-bodies", ("FBA-1", "FBA-2")),
    "mTL-bodies": ("floc-bodies", ("mTL-bodies",)),
    "OFA": ("floc-faces", ("OFA",)),
    "FFA": ("floc-faces", ("FFA-1", "FFA-2")),
    "mTL-faces": ("floc-faces", ("mTL-faces",)),
    "aTL-faces": ("floc-faces", ("aTL-faces",)),
    "OPA": ("floc-places", ("OPA",)),
    "PPA": ("floc-places", ("PPA",)),
    "RSC": ("floc-places", ("RSC",)),
    "OWFA": ("floc-words", ("OWFA",)),
    "VWFA": ("floc-words", ("VWFA-1", "VWFA-2")),
    "mfs-words": ("floc-words", ("mfs-words",)),
    "mTL-words": ("floc-words", ("mTL-words",)),
    ALL_VERTICES: ("", ()),
}
