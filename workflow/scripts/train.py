"""Make the runs of a job, one after another: train networks, or build untrained, pretrained or baseline ones.

On a cluster their activations follow, with a log of their own: where extraction has its logs, below the job's name.

params: jobs (a RunJob for each), extractions (an ExtractionJob for each run and set that the job extracts); config:
training (how jobs, machines and disks are used), extraction (as activations); resources: gpu (on all nodes) and nodes;
threads; log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import FOLLOWS, script_logging

logs, asked = Path(snakemake.log[0]), (snakemake.resources.get("gpu", 0), snakemake.threads)
extractions = snakemake.params.extractions
with script_logging(str(logs), [job.run.run for job in snakemake.params.jobs], *asked) as logger:
    from dataclasses import replace

    from neuroscaling.study.sections.training_options import TrainingOptions
    from neuroscaling.training.job import train_runs

    nodes = snakemake.resources.get("nodes", 1)
    options = replace(
        TrainingOptions(**snakemake.config["training"]),
        gpus=max(1, snakemake.resources.get("gpu", 1) // nodes),
        nodes=nodes,
        threads=snakemake.threads,
    )
    train_runs(snakemake.params.jobs, options)
    if extractions:
        part = "all"
        log = logs.parent.with_name("activations") / logs.stem / f"{part}.log"
        logger.info("the extraction of activations follows. %s%s", FOLLOWS, log)

if extractions:
    log.parent.mkdir(parents=True, exist_ok=True)
    with script_logging(str(log), sorted({job.run.run for job in extractions}), *asked):
        from neuroscaling.activations.job import extract_all, write_seconds
        from neuroscaling.study.sections.extraction import ExtractionOptions
        from neuroscaling.training.job import forget_trainings

        forget_trainings()
        seconds = extract_all(extractions, ExtractionOptions(**snakemake.config["extraction"]))
        write_seconds(logs.parents[1].with_name("benchmarks") / "activations", part, seconds)
