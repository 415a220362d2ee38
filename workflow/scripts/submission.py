"""Average the final predictions of runs and write the challenge's submission.

input: scores (score files of the runs and subjects; <stem>.{lh,rh}_pred_test.npy and <stem>.targets.parquet lie beside)
output: submission (zip; <stem>.json beside it says what is in it)
params: average (plain or weighted), data (key of config["located"]["algonauts"], the folder with subj01, subj02, ...)
log: one file
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.encoding.submission_job import write_averaged_submission

    write_averaged_submission(
        [Path(file) for file in snakemake.input.scores],
        Path(str(snakemake.output.submission)),
        Path(snakemake.config["located"]["algonauts"][snakemake.params.data]),
        snakemake.params.average,
    )
