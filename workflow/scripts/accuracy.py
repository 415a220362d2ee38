"""Accuracy over subjects with intervals, and paired comparisons of runs.

input: scores (score files of runs and subjects; <stem>.accuracy.parquet lies beside each)
output: accuracy (parquet; comparisons.parquet is written beside it)
log: one file
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]) as logger:
    from neuroscaling.encoding.accuracy_summary import write_accuracy
    from neuroscaling.failures import sound

    scores = sound(snakemake.input.scores)
    write_accuracy(scores, Path(str(snakemake.output.accuracy)))
    logger.info("%d score files, %d of failed runs", len(scores), len(snakemake.input.scores) - len(scores))
