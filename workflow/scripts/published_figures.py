"""Draw the figures of the published study.

input: table (parquet), checkpoints, brainscore (published tables), fits (list of fit JSON; their bootstraps lie beside
them); output: index (JSON that lists the figures; they are written beside it); log[0].
"""

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.report.published.index import write_index

    write_index(
        snakemake.output.index,
        snakemake.input.table,
        snakemake.input.checkpoints,
        snakemake.input.brainscore,
        list(snakemake.input.fits),
    )
