"""Make the runs of a job, one after another: train networks, or build untrained, pretrained or baseline ones.

input: subsets (of runs of kind trained), starts (run.json of runs that others start from); output: runs (run.json;
weights are written beside it), histories; config: runs (settings), located (where images and weights lie), training
(how jobs, machines and disks are used); resources: gpu (on all nodes) and nodes; threads; log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.training.many import Job, train_many

    located = snakemake.config["located"]
    subsets = {(path.parent.name, path.name): path for path in map(Path, snakemake.input.get("subsets", []))}

    def job_of(out: Path) -> Job:
        """The run whose folder is `out`, with all that it needs."""
        run = dict(snakemake.config["runs"][out.name])
        run["dataset_settings"] = located["datasets"].get(run["dataset"])
        run["weights"] = located["weights"].get(run["run"])
        place = (f"{run['dataset']}-{run['fingerprint']}", f"{run['subset']}-s{run['subset_seed']}.parquet")
        return Job(run, subsets.get(place), out, out.parent / run["start"] if run["start"] else None)

    nodes = snakemake.resources.get("nodes", 1)
    operating = snakemake.config["training"] | {
        "gpus": max(1, snakemake.resources.get("gpu", 1) // nodes),
        "nodes": nodes,
        "threads": snakemake.threads,
    }
    train_many([job_of(Path(path).parent) for path in snakemake.output.runs], operating)
