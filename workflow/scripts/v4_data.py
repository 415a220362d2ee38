"""Fetch one V4 recording session from its public repository, or copy it from a folder in the same layout.

params: folder (the recordings, in the layout of the repository), local_dir (folder to copy from; optional)
wildcards: session; log[0].
"""

from neuroscaling.core.logs import script_logging
from neuroscaling.recordings.v4_sessions import V4_REPOSITORY, fetch_session

with script_logging(snakemake.log[0]):
    source = snakemake.params.get("local_dir") or V4_REPOSITORY
    fetch_session(snakemake.wildcards.session, snakemake.params.folder, source)
