"""Read a table of scores of one's own as the study's score table.

params: mapping (a TableMapping), data (what the rows' `data` is where no column gives it), sha256 (of each file when
the study was started); config: located.own_tables (the files); output: table (parquet); log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]) as logger:
    from neuroscaling.score_tables.writing import write_own_table

    files = [Path(file) for file in snakemake.config["located"]["own_tables"]]
    params = snakemake.params
    facts = write_own_table(snakemake.output.table, files, params.mapping, params.data, params.sha256)
    logger.info("%d rows, %d empty scores; rows are told apart by %s", facts.rows, facts.empty, ", ".join(facts.key))
