"""Extract a shard-aligned slice of the activations of a run to a stimulus set; `activations` completes the store.

input: runs (run.json), stimuli (manifest.json of the set); output: a marker, `<set>` telling the store's place;
wildcards: run, set, slice (from 0); params: layers, reduction, options, code, slices (how many); config: as activations
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.activations.extract import extract
    from neuroscaling.failures import failure_of

    folder = Path(snakemake.input.runs).parent
    store = Path(snakemake.output[0]).parents[1]
    if failure_of(snakemake.input.runs) is None:
        extract(
            snakemake.config["runs"][folder.name],
            folder,
            [Path(snakemake.input.stimuli)],
            [store / f"{snakemake.wildcards.set}.json"],
            snakemake.params.layers,
            dict(snakemake.params.reduction),
            code=snakemake.params.code,
            options={**snakemake.params.options, **snakemake.config["extraction"]},
            part=(int(snakemake.wildcards.slice), snakemake.params.slices),
        )
