"""Fit one law to the score table.

input: table; output: fit (JSON), bootstraps (parquet), and beside the fit what it stands on:
influence (JSON), without_groups (parquet); params: fit (settings of a FitJob); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.laws.study_fit import write_fit

    write_fit(snakemake.input.table, snakemake.params.fit, snakemake.output.fit, snakemake.output.bootstraps)
