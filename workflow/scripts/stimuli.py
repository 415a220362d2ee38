"""Prepare a stimulus set.

config: located.stimuli[set] (list of sources); wildcards: set; params: degrees (number or None);
output: manifest (<folder>/manifest.json; the folder is made); log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.stimuli.prepare import prepare

    sources = snakemake.config["located"]["stimuli"][snakemake.wildcards.set]
    prepare(list(sources), snakemake.params.degrees, Path(snakemake.output.manifest).parent)
