"""Write a V4 session as an assembly for Brain-Score's classes.

input: files of the session, where they were downloaded; output: manifest (<folder>/manifest.json; the folder is made)
wildcards: session; the folder of the recordings is config["located"]["v4"]; log: one file
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.encoding.v4_assembly import write_assembly

    out = Path(snakemake.output.manifest).parent
    write_assembly(Path(snakemake.config["located"]["v4"]), snakemake.wildcards.session, out)
