"""Collect the scores in one table.

input: scores, runs (lists of what the study wants); output: table (parquet); params: accuracy (whether validation
accuracy is in it), protocol; config: located.store (folders of the store); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]) as logger:
    from neuroscaling.core.score_table import build_table, write_table
    from neuroscaling.study.wanted_lists import read_wanted

    store = snakemake.config["located"]["store"]
    wanted, runs = read_wanted(snakemake.input.scores, store), read_wanted(snakemake.input.runs, store)
    there = [path for path in wanted if path.is_file()]
    table = build_table(there, runs, snakemake.params.accuracy, wanted, snakemake.params.protocol)
    write_table(snakemake.output.table, table)
    scores = table.scores
    logger.info("%d rows, %d runs, %d empty scores", len(scores), scores["run"].nunique(), scores["score"].isna().sum())
