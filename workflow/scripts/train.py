"""Make the runs of a job, one after another: train networks, or build untrained, pretrained or baseline ones.

params: jobs (a RunJob for each); config: training (how jobs, machines and disks are used); resources: gpu (on all
nodes) and nodes; threads; log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(
    snakemake.log[0],
    [job.run.run for job in snakemake.params.jobs],
    snakemake.resources.get("gpu", 0),
    snakemake.threads,
):
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
