"""Make a simulated brain.

params: job (BrainJob); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.simulate.brain import simulate_brain

    simulate_brain(snakemake.params.job)
