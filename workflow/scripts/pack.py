"""Write a split of a data set into few large files.

params: dataset (name), settings (of the data set), folder (the manifest and its shards lie there); wildcards: split,
form, size; config: training (cache_dir); threads; log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0], cpus=snakemake.threads):
    from neuroscaling.datasets.pack_writing import write_pack

    write_pack(
        snakemake.params.dataset,
        snakemake.params.settings,
        snakemake.wildcards.split,
        Path(snakemake.params.folder),
        None if snakemake.wildcards.size == "originals" else int(snakemake.wildcards.size),
        snakemake.wildcards.form,
        snakemake.threads,
        Path(snakemake.config["training"]["cache_dir"]),
    )
