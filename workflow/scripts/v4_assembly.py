"""Write a V4 session as an assembly for Brain-Score's classes.

params: job (V4AssemblyJob); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.recordings.v4_assembly import write_assembly

    write_assembly(snakemake.params.job)
