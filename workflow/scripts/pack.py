"""Write a split of a data set into few large files.

output: manifest (JSON; the shards lie beside it); params: dataset (name); wildcards: split, form, size; config: located
(where the images lie), training (cache_dir); threads; log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.datasets.packs.writing import write_pack

    write_pack(
        snakemake.params.dataset,
        snakemake.config["located"]["datasets"][snakemake.params.dataset],
        snakemake.wildcards.split,
        Path(snakemake.output.manifest).parent,
        None if snakemake.wildcards.size == "originals" else int(snakemake.wildcards.size),
        snakemake.wildcards.form,
        snakemake.threads,
        Path(snakemake.config["training"]["cache_dir"]),
    )
