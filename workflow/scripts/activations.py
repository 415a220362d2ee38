"""Extract the activations of one or several runs to a stimulus set, all layers in one pass.

params: jobs (an ExtractionJob for each run); input: slices (markers of slices that were extracted before; empty where
none were asked for); config: extraction (codec, batch, workers, scratch_gb); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(
    snakemake.log[0], [job.run.run for job in snakemake.params.jobs], snakemake.resources.get("gpu", 0)
) as logger:
    from neuroscaling.activations.extraction import extract, finish, free_weights
    from neuroscaling.core.records import failure_in
    from neuroscaling.study.sections.extraction import ExtractionOptions

    options = ExtractionOptions(**snakemake.config["extraction"])
    for job in snakemake.params.jobs:
        if reason := failure_in(job.folder):
            logger.info("%s failed, and has no activations: %s", job.run.run, reason)
        elif snakemake.input.slices:
            finish(job, options)
        else:
            extract(job, options)
    for job in snakemake.params.jobs:
        free_weights(job)
