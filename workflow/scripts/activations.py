"""Extract the activations of one or several runs to a stimulus set, all layers in one pass.

input: runs (run.json of each run), stimuli (manifest.json of the set); output: manifests of the stores, in the order of
the runs; params: layers ({candidates, regions, readout}; may be empty), reduction ({kind: none} or {kind: grid, size}),
code (fingerprint); config: runs (settings by name); log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.activations.extract import extract

    for record, output in zip(snakemake.input.runs, snakemake.output, strict=True):
        folder = Path(record).parent
        extract(
            snakemake.config["runs"][folder.name],
            folder,
            [Path(snakemake.input.stimuli)],
            [Path(output)],
            snakemake.params.layers,
            dict(snakemake.params.reduction),
            code=snakemake.params.code,
        )
