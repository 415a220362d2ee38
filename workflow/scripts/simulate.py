"""Make a simulated brain.

output: manifest (<folder>/manifest.json; the folder is made); params: settings (of BrainSettings); log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.simulate.brain import simulate_brain

    simulate_brain(Path(snakemake.output.manifest).parent, dict(snakemake.params.settings))
