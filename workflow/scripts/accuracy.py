"""Accuracy over subjects with intervals, and paired comparisons of runs.

input: scores (list of the score files; <stem>.accuracy.parquet lies beside each); output: accuracy (parquet;
comparisons.parquet is written beside it); config: located.store (folders of the store); log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]) as logger:
    from neuroscaling.encoding.group_accuracy import write_accuracy
    from neuroscaling.study.wanted_lists import read_wanted

    wanted = read_wanted(snakemake.input.scores, snakemake.config["located"]["store"])
    scores = [path for path in wanted if path.is_file()]
    write_accuracy(scores, Path(str(snakemake.output.accuracy)))
    logger.info("%d score files, %d of failed runs", len(scores), len(wanted) - len(scores))
