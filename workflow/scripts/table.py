"""Collect the scores in one table.

input: scores (list of score files), runs (list of run.json); output: table (parquet); params: accuracy
(whether validation accuracy is in it); log[0].
"""

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]) as logger:
    from neuroscaling.table import build_table, write_table

    table = build_table(snakemake.input.scores, snakemake.input.runs, snakemake.params.accuracy)
    write_table(snakemake.output.table, table)
    logger.info("%d rows, %d runs, %d empty scores", len(table), table["run"].nunique(), table["score"].isna().sum())
