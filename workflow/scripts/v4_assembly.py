"""Write a V4 session as an assembly for Brain-Score's classes.

params: job (FolderJob: settings {root}); wildcards: session; log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.electrophysiology.v4_assembly import write_assembly

    job = snakemake.params.job
    write_assembly(Path(job.settings["root"]), snakemake.wildcards.session, job.folder, job.definition)
