"""The score table of the published study.

config: located.tables (scores: benchmark_scores.csv, seed: seed_data_scaling.csv; optional; checkpoints:
benchmark_scores_ckpts.csv); params: trajectories (whether checkpoints are in the table); output: table
(parquet); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]) as logger:
    from neuroscaling.core.score_table import ScoreTable, write_table
    from neuroscaling.reproductions.gokce2025.published_scores import published_table

    tables = snakemake.config["located"]["tables"]
    table = published_table(
        tables["scores"], tables.get("seed"), tables["checkpoints"] if snakemake.params.trajectories else None
    )
    write_table(snakemake.output.table, ScoreTable(table))
    logger.info("%d rows, %d models, %d empty scores", len(table), table["run"].nunique(), table["score"].isna().sum())
