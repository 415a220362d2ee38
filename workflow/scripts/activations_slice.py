"""Extract a shard-aligned slice of the activations of a run to a stimulus set; `activations` completes the store.

params: jobs (one ExtractionJob), slices (how many); wildcards: slice (from 0); config: as activations; log[0].
"""

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.activations.extract import extract
    from neuroscaling.core.run_record import failure_in

    (job,) = snakemake.params.jobs
    if failure_in(job.folder) is None:
        extract(
            job.run,
            job.folder,
            [job.stimuli],
            [job.output],
            job.definition["layers"],
            job.definition["reduction"],
            definitions=[job.definition],
            options={**job.definition["options"], **snakemake.config["extraction"]},
            part=(int(snakemake.wildcards.slice), snakemake.params.slices),
        )
