"""The losses that scipy's BFGS reaches from the whole published grid, for every fit of the published study.

Writes tests/oracle/witness_losses.json, against which the tests hold our solver. It holds the losses of some resamples
of some fits too, and those of forms without a published grid. A fit whose points are those of the last run is kept;
`--again` does all anew (about ten minutes of one core). Needs the public tables: see docs/data.md.
"""

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.oracle import witness
from tests.oracle.studies import (
    RESAMPLES,
    SCORE_FORMS,
    SCORE_RESAMPLES,
    SCORE_STUDY,
    WITNESS_FILE,
    Study,
    parity_studies,
    read_table,
    tables_folder,
)

from neuroscaling.core.files import read_json, write_json
from neuroscaling.core.provenance import provenance
from neuroscaling.laws.bootstrap import resample_weights


def found(study: Study) -> dict[str, Any]:
    """What the witness finds for one fit."""
    best = asdict(witness.solve(study.form, study.scaled, study.described))
    facts = {"form": study.form, "n": len(study.y), "points": study.digest}
    return facts | {key: best[key] for key in ("starts", "loss", "params")}


def found_of_resamples(study: Study, counts: list[int]) -> dict[str, Any]:
    """What the witness finds for the first resamples of a fit, from so many starts each."""
    weights = resample_weights(len(study.y), len(counts))
    losses = [
        witness.solve(
            study.form, study.scaled, study.described, row, witness.some_starts(study.form, count, seed=i)
        ).loss
        for i, (row, count) in enumerate(zip(weights, counts, strict=True))
    ]
    return {"form": study.form, "points": study.digest_with(weights), "starts": counts, "losses": losses}


def found_of_form(study: Study, form: str) -> dict[str, Any]:
    """What the witness finds for another form: for all points, then for the resamples."""
    weights = resample_weights(len(study.y), SCORE_RESAMPLES)
    losses = [witness.solve(form, study.scaled, study.y, row).loss for row in (None, *weights)]
    return {"form": form, "points": study.digest_with(weights), "losses": losses}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="keep nothing of the last run")
    again = parser.parse_args().again
    folder = tables_folder()
    if not folder.is_dir():
        sys.exit(f"no public tables in {folder}: set NEUROSCALING_PUBLISHED_DIR to their folder (docs/data.md)")
    known = {} if again or not WITNESS_FILE.exists() else read_json(WITNESS_FILE)["fits"]
    fits: dict[str, Any] = {}
    studies = parity_studies(read_table(folder))
    for name, study in studies.items():
        kept = known.get(name, {}).get("points") == study.digest
        fits[name] = known[name] if kept else found(study)
        line = f"{name:32} {study.form:16} {fits[name]['n']:4} {fits[name]['loss']:.12g}"
        print(line, "kept" if kept else "", flush=True)
    versions = provenance(("numpy", "scipy"))["versions"]
    versions.pop("neuroscaling")
    resamples = {name: found_of_resamples(studies[name], counts) for name, counts in RESAMPLES.items()}
    forms = {form: found_of_form(studies[SCORE_STUDY], form) for form in SCORE_FORMS}
    content = {"command": "python perf/witness.py", "versions": versions, "fits": fits}
    write_json(WITNESS_FILE, content | {"resamples": resamples, "score_forms": forms})


if __name__ == "__main__":
    main()
