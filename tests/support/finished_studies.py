"""Folders of finished studies with made-up laws and scores, as `neuroscaling compare` reads them."""

import numpy as np

from neuroscaling.core.files import write_json
from neuroscaling.core.records import write_record
from neuroscaling.core.score_table import COLUMNS
from neuroscaling.study.paths import Results
from neuroscaling.study.session import ARTEFACTS
from tests.support.finished_fits import completed

X = np.geomspace(1e2, 1e6, 12)
WORDS = [{"fit": "compute", "title": "Alignment against compute <1>", "caption": "", "by": ["region"]}]


def made_up_law(name, level, region, form="power_law"):
    """A power law of a region that ends at `level`."""
    y = level - 0.5 * X**-0.2
    params = {"E": 1 - level, "A": 0.5, "alpha": 0.2}
    return completed(
        {
            "status": "fitted", "name": name, "fit": "compute", "form": form, "filters": {"region": region},
            "params": params, "identified": {key: {"identified": True} for key in params}, "scale": "r2/c",
            "ci95": {key: [0.9 * value, 1.1 * value] for key, value in params.items()},
            "saturation": level, "saturation_ci95": [level - 0.05, level + 0.05],
            "curve": {"x": X.tolist(), "fit": y.tolist(), "p2.5": (y - 0.02).tolist(), "p97.5": (y + 0.02).tolist()},
            "points": {"x": X.tolist(), "y": y.tolist()},
        }
    )  # fmt: skip


def write_finished_study(folder, name, laws, table, settings=(), words=None):
    """Write a study of these laws (content of fit files) and this score table to `folder`; settings: of its fits."""
    results = Results(folder)
    for content in laws:
        write_json(results.fit(content["name"]), content)
    results.table.parent.mkdir(parents=True, exist_ok=True)
    table.reindex(columns=list(COLUMNS)).astype(COLUMNS).to_parquet(results.table)
    fits = {content["name"]: {"bootstraps": 200, "filters": content["filters"], **dict(settings)} for content in laws}
    artefacts = {"format": ARTEFACTS, "study": name, "names": [], "fits": fits, "packages": {"numpy": name}}
    write_record(results.artefacts, artefacts | {"laws": WORDS if words is None else words})
    return folder
