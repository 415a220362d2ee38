"""Draw the training images of one subset.

params: job (SubsetJob); config: training (cache_dir); log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.datasets.index import load_index
    from neuroscaling.datasets.subset_file import write_subset
    from neuroscaling.datasets.subset_sampling import draw_token

    job, cache = snakemake.params.job, Path(snakemake.config["training"]["cache_dir"])
    index = load_index(job.dataset, job.settings, "train", job.fingerprint, cache)
    write_subset(job.path, index, draw_token(index, job.token, job.seed), job.token, job.seed, job.definition)
