"""Average the final predictions of runs and write the challenge's submission.

params: scores (names of score files of runs and subjects; predictions and <stem>.targets.parquet lie beside them),
average (plain or weighted); output: zip (<stem>.json beside it records what is in it); config: located.store, and
located.encoding (where each subject's recordings lie); log[0].
"""

from pathlib import Path

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.encoding.submission_score import write_averaged_submission
    from neuroscaling.study.paths import Store

    store = Store.of([Path(folder) for folder in snakemake.config["located"]["store"]])
    wanted = [store.find(store.root / name) for name in snakemake.params.scores]
    scores = [path for path in wanted if path.is_file()]
    if not scores:
        what, fix = "all runs of this submission failed", "name others in `submissions:`"
        raise DataError(Problem(what=what, where=str(snakemake.output.zip), fix=fix))
    folder = Path(snakemake.config["located"]["submissions"][snakemake.wildcards.submission])
    write_averaged_submission(scores, Path(str(snakemake.output.zip)), folder, snakemake.params.average)
