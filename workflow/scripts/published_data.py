"""Bring one published table, by download or from a folder; its sha256 is checked.

output: table (the last part of its path is the table's name)
config: located.published (folder to copy from; empty to download)
log: one file
"""

from pathlib import Path

from neuroscaling.logs import script_logging
from neuroscaling.published.source import fetch

with script_logging(snakemake.log[0]):
    fetch(Path(snakemake.output.table).name, snakemake.output.table, snakemake.config["located"]["published"])
