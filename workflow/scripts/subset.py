"""Draw the training images of one subset.

output: subset (parquet); params: dataset (name); wildcards: dataset (name and fingerprint), samples (the subset's
token: `10`, `all`, `n5000`, `c100`, `p10`), seed; config: located (where the images lie), training (cache_dir); log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.datasets.draws import draw_token
    from neuroscaling.datasets.index import load_index
    from neuroscaling.datasets.subsets import write_subset

    name, token, seed = snakemake.params.dataset, snakemake.wildcards.samples, int(snakemake.wildcards.seed)
    settings = snakemake.config["located"]["datasets"][name]
    cache = Path(snakemake.config["training"]["cache_dir"])
    index = load_index(name, settings, "train", snakemake.wildcards.dataset.rsplit("-", 1)[1], cache)
    write_subset(Path(snakemake.output.subset), index, draw_token(index, token, seed), token, seed)
