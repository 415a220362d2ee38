"""Prepare one subject of the Natural Scenes Dataset: a folder that encoding reads in blocks.

params: job (NsdJob); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.recordings.nsd_preparation import prepare_nsd_subject

    prepare_nsd_subject(snakemake.params.job)
