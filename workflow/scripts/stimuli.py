"""Prepare a stimulus set.

params: job (StimuliJob); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.stimuli.preparation import prepare_stimuli

    job = snakemake.params.job
    prepare_stimuli(job.sources, job.degrees, job.folder, job.definition)
