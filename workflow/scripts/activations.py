"""Extract the activations of one or several runs to stimulus sets, all layers in one pass.

params: jobs (an ExtractionJob for each run and set, those of a run together); input: slices (markers of slices that
were extracted before; empty where none were asked for); config: extraction (codec, batch, workers, scratch_gb); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(
    snakemake.log[0],
    sorted({job.run.run for job in snakemake.params.jobs}),
    snakemake.resources.get("gpu", 0),
    snakemake.threads,
):
    from neuroscaling.activations.job import extract_all
    from neuroscaling.study.sections.extraction import ExtractionOptions

    options = ExtractionOptions(**snakemake.config["extraction"])
    extract_all(snakemake.params.jobs, options, sliced=bool(snakemake.input.slices))
