"""Extract the activations of one or several runs to a stimulus set, all layers in one pass.

input: runs (run.json of each run), stimuli (manifest.json of the set), slices (markers of slices that were extracted
before; empty where none were asked for); output: manifests of the stores, in the order of the runs; params: layers
({candidates, regions, readout}; may be empty), reduction, options (keep, dtype, autocast, tokens), code (fingerprint);
config: runs (settings by name), extraction (codec, batch, workers, scratch_gb); log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.activations.extract import extract, finish
    from neuroscaling.failures import failure_of, write_failure

    for record, output in zip(snakemake.input.runs, snakemake.output, strict=True):
        folder = Path(record).parent
        if reason := failure_of(record):
            write_failure(output, folder.name, reason)
            continue
        write = finish if snakemake.input.slices else extract
        write(
            snakemake.config["runs"][folder.name],
            folder,
            [Path(snakemake.input.stimuli)],
            [Path(output)],
            snakemake.params.layers,
            dict(snakemake.params.reduction),
            code=snakemake.params.code,
            options={**snakemake.params.options, **snakemake.config["extraction"]},
        )
