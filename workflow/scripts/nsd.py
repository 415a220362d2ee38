"""Convert one subject of the Natural Scenes Dataset to a folder that encoding reads in blocks.

output: manifest (<folder>/manifest.json; the folder is made)
params: space, sessions, repeats, test, regions, memory_mb (as neuroscaling.encoding.nsd.prepare.prepare takes them)
wildcards: subject; the folder of the tree is config["located"]["nsd"]; log: one file
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.encoding.nsd.prepare import prepare

    names = ("space", "sessions", "repeats", "test", "regions", "memory_mb")
    choices = {name: snakemake.params.get(name) for name in names}
    out = Path(snakemake.output.manifest).parent
    given = {name: value for name, value in choices.items() if value is not None}
    prepare(snakemake.config["located"]["nsd"], snakemake.wildcards.subject, out, **given)
