"""Convert the recordings of one subject to a folder that encoding reads in blocks.

params: job (a PreparationJob); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.recordings.preparation import prepare_recording

    prepare_recording(snakemake.params.job)
