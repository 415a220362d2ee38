"""Extract the activations of one or several runs to stimulus sets, all layers in one pass.

params: jobs (an ExtractionJob for each run and set, those of a run together); input: slices (markers of slices that
were extracted before; empty where none were asked for); config: extraction (codec, batch, workers, scratch_gb); log[0].
"""

from neuroscaling.core.logs import Pieces, script_logging

with script_logging(
    snakemake.log[0],
    sorted({job.run.run for job in snakemake.params.jobs}),
    snakemake.resources.get("gpu", 0),
    snakemake.threads,
) as logger:
    from neuroscaling.activations.extraction import extract, finish, free_weights, network_kept
    from neuroscaling.core.records import failure_in
    from neuroscaling.study.sections.extraction import ExtractionOptions

    options, jobs = ExtractionOptions(**snakemake.config["extraction"]), snakemake.params.jobs
    pieces = Pieces(len(jobs) == 1)
    with network_kept():
        for job in jobs:
            with pieces.piece(f"activations {job.run.run}/{job.output.stem}"):
                if reason := failure_in(job.folder):
                    logger.info("%s failed, and has no activations: %s", job.run.run, reason)
                elif snakemake.input.slices:
                    finish(job, options)
                else:
                    extract(job, options)
    for job in jobs:
        free_weights(job)
    pieces.end()
