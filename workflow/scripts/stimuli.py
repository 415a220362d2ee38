"""Prepare a stimulus set.

params: job (StimuliJob); log[0].
"""

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.stimuli.prepare import prepare

    job = snakemake.params.job
    prepare(job.sources, job.degrees, job.folder, job.definition)
