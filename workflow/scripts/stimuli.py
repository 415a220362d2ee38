"""Prepare a stimulus set.

params: job (StimuliJob); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.stimuli.preparation import prepare_stimuli

    prepare_stimuli(snakemake.params.job)
