"""Draw the training images of one subset.

output: subset (parquet); params: dataset (name); wildcards: dataset (name and fingerprint), samples, seed;
config: located (where the images lie); log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.datasets.index import load_index
    from neuroscaling.datasets.subsets import draw, write_subset

    name, samples = snakemake.params.dataset, snakemake.wildcards.samples
    settings = snakemake.config["located"]["datasets"][name]
    index = load_index(name, settings, "train", snakemake.wildcards.dataset.rsplit("-", 1)[1])
    samples, seed = samples if samples == "all" else int(samples), int(snakemake.wildcards.seed)
    write_subset(Path(snakemake.output.subset), index, draw(index, samples, seed), samples, seed)
