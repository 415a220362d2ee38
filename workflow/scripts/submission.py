"""Average the final predictions of runs and write the challenge's submission.

input: scores (score files of the runs and subjects; <stem>.{lh,rh}_pred_test.npy and <stem>.targets.parquet lie beside)
output: zip (<stem>.json beside it says what is in it); params: average (plain or weighted)
config: located.encoding (where each subject's recordings lie); log[0].
"""

from pathlib import Path

from neuroscaling.errors import DataError, Problem
from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.encoding.submission_job import write_averaged_submission
    from neuroscaling.failures import sound

    scores = sound(snakemake.input.scores)
    if not scores:
        what, fix = "all runs of this submission failed", "name others in `submissions:`"
        raise DataError(Problem(what, str(snakemake.output.zip), fix=fix))
    place = snakemake.config["located"]["encoding"][f"{scores[0].parent.name}/{scores[0].stem}"]
    write_averaged_submission(scores, Path(str(snakemake.output.zip)), Path(place["folder"]), snakemake.params.average)
