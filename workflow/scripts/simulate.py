"""Make a simulated brain.

params: job (FolderJob with the settings of the brain); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.simulate.brain import simulate_brain

    job = snakemake.params.job
    simulate_brain(job.folder, job.settings, job.definition)
