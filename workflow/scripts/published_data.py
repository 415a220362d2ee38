"""Bring one published table, by download or from a folder; its sha256 is checked.

params: table (where it is written; the last part is its name); config: located.published (folder to copy from; empty to
download); log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging
from neuroscaling.published.source import fetch

with script_logging(snakemake.log[0]):
    table = Path(snakemake.params.table)
    fetch(table.name, table, snakemake.config["located"]["published"])
