"""Put a law that fits.py fitted in its place.

input: table; output: fit (JSON), bootstraps (parquet), and beside the fit what it stands on:
influence (JSON), without_groups (parquet); params: fit (settings of a FitJob), code (as for fits.py); wildcards: fit
(its name); log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.laws.study_fits import StudyFit, take_fit

    folder = Path(snakemake.output.fit).parent
    take_fit(
        StudyFit.of(snakemake.wildcards.fit, snakemake.params.fit, folder, snakemake.input.table, snakemake.params.code)
    )
