"""Bring one published table, by download or from a folder; its sha256 is checked.

params: table (where it is written; the last part is its name); config: located.published (folder to copy from; empty to
download); log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import script_logging
from neuroscaling.study.published_tables import fetch_published

with script_logging(snakemake.log[0]):
    table = Path(snakemake.params.table)
    fetch_published(table.name, table, snakemake.config["located"]["published"])
