"""Draw the training images of subsets of one data set.

params: jobs (a SubsetJob for each); config: training (cache_dir); log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import Pieces, script_logging

with script_logging(snakemake.log[0]) as logger:
    from neuroscaling.datasets.index import load_index
    from neuroscaling.datasets.subset_file import write_subset
    from neuroscaling.datasets.subset_sampling import draw_token

    jobs, cache = snakemake.params.jobs, Path(snakemake.config["training"]["cache_dir"])
    index = load_index(jobs[0].dataset, jobs[0].settings, "train", jobs[0].fingerprint, cache)
    pieces = Pieces()
    for job in jobs:
        with pieces.piece(f"subset {job.token}, seed {job.seed}"):
            write_subset(job.path, index, draw_token(index, job.token, job.seed), job.token, job.seed, job.definition)
    logger.info("%d subsets drawn", len(jobs) - len(pieces.problems))
    pieces.end()
