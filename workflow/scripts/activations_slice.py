"""Extract a shard-aligned slice of the activations of a run to a stimulus set; `activations` completes the store.

params: jobs (one ExtractionJob), slices (how many); wildcards: slice (from 0); config: as activations; log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(
    snakemake.log[0],
    [job.run.run for job in snakemake.params.jobs],
    snakemake.resources.get("gpu", 0),
    snakemake.threads,
):
    from neuroscaling.activations.extraction import extract
    from neuroscaling.core.records import failure_in
    from neuroscaling.study.sections.extraction import ExtractionOptions

    (job,) = snakemake.params.jobs
    if failure_in(job.folder) is None:
        part = (int(snakemake.wildcards.slice), snakemake.params.slices)
        extract(job, ExtractionOptions(**snakemake.config["extraction"]), part)
