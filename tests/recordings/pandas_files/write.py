"""Write the files of this folder, with pandas and PyTables: `python write.py FOLDER` where both are installed.

Each holds a data frame in the layout of THINGS-fMRI's responses: a column voxel_id (0 to 5), a column for each of 24
trials, named by its number, with row + trial / 100, and for `objects` a column of texts. The shipped files are of
pandas 3.1.1 and PyTables 3.11.1.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

VOXELS, TRIALS = 6, 24


def main(folder: Path) -> None:
    """Write `fixed.h5`, `table.h5` and `objects.h5`, compressed by zlib, and `blosc.h5`."""
    frame = pd.DataFrame(np.arange(VOXELS)[:, None] + np.arange(TRIALS) / 100)
    frame.insert(0, "voxel_id", np.arange(VOXELS))
    objects = frame.assign(note=[f"voxel {row}" for row in range(VOXELS)])
    for name, one, layout, library in (
        ("fixed", frame, "fixed", "zlib"),
        ("table", frame, "table", "zlib"),
        ("objects", objects, "fixed", "zlib"),
        ("blosc", frame, "fixed", "blosc"),
    ):
        path = folder / f"{name}.h5"
        one.to_hdf(path, key="ResponseData", mode="w", format=layout, complevel=9, complib=library)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
