"""Fetch one V4 recording session from its public repository, or copy it from a folder in the same layout.

output: images (<root>/images/images_<session>.zip), responses (<root>/responses_repeat_averaged/...); raw repeats are
fetched to <root>/responses_raw/ where the repository has them
params: local_dir (folder to copy from; optional)
wildcards: session
log: one file
"""

from pathlib import Path

from neuroscaling.encoding.v4_data import SOURCE, fetch_session
from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    root = Path(str(snakemake.output.images)).parents[1]
    fetch_session(snakemake.wildcards.session, root, snakemake.params.get("local_dir") or SOURCE)
