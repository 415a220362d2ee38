"""Prepare one subject of the Natural Scenes Dataset: a folder that encoding reads in blocks.

params: job (FolderJob: settings {root, space, regions, repeats, test}); wildcards: subject; log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.fmri.nsd_preparation import prepare_nsd_subject

    job = snakemake.params.job
    prepare_nsd_subject(subject=snakemake.wildcards.subject, out=job.folder, definition=job.definition, **job.settings)
