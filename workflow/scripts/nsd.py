"""Prepare one subject of the Natural Scenes Dataset: a folder that encoding reads in blocks.

output: manifest (<folder>/manifest.json; the folder is made)
params: settings ({space, repeats, test} as `prepare` takes them)
wildcards: nsd, subject; the folder of the tree is config["located"]["nsd"]["<nsd>/<subject>"]; log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.encoding.nsd.prepare import prepare

    wildcards = snakemake.wildcards
    root = snakemake.config["located"]["nsd"][f"{wildcards.nsd}/{wildcards.subject}"]
    prepare(root, wildcards.subject, Path(snakemake.output.manifest).parent, **snakemake.params.settings)
