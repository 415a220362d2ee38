"""Draw the figures of the published study.

input: table (parquet), fits (list of fit JSON; their bootstraps lie beside them); output: index (JSON that lists the
figures; they are written beside it); config: located.tables (checkpoints, brainscore: published tables); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.reproductions.gokce2025.figures_of_study import write_index

    tables = snakemake.config["located"]["tables"]
    write_index(
        snakemake.output.index,
        snakemake.input.table,
        tables["checkpoints"],
        tables["brainscore"],
        list(snakemake.input.fits),
    )
