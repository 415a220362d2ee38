"""The score table of the published study.

input: scores (benchmark_scores.csv), seed (seed_data_scaling.csv; optional); output: table (parquet); log[0].
"""

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]) as logger:
    from neuroscaling.published.table import published_table
    from neuroscaling.table import write_table

    table = published_table(snakemake.input.scores, snakemake.input.get("seed") or None)
    write_table(snakemake.output.table, table)
    logger.info("%d rows, %d models, %d empty scores", len(table), table["run"].nunique(), table["score"].isna().sum())
