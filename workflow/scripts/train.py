"""Make one run: train a network, or build an untrained, pretrained or baseline one.

input: subset (runs of kind trained only); output: run (run.json; the weights are written beside it), history;
params: run (settings); config: located (where images and weights lie); threads; log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.training.train import train

    located = snakemake.config["located"]
    run = dict(snakemake.params.run)
    run |= {"dataset_settings": located["datasets"].get(run["dataset"]), "weights": located["weights"].get(run["run"])}
    subset = snakemake.input.get("subset")
    train(run, Path(subset) if subset else None, Path(snakemake.output.run).parent, threads=snakemake.threads)
