"""Extract the activations of one or several runs to a stimulus set, all layers in one pass.

input: runs (run.json of each run), stimuli (manifest.json of the set); output: manifests of the stores, in the order of
the runs; params: layers ({candidates, regions, readout}; may be empty), reduction ({kind, ...}), options (of the
extraction; may be missing), code (fingerprint); config: runs (settings by name); log[0].

A slice of a set: params.part = [i, slices] from 0; output: a marker beside each manifest that is to come. The job that
completes the set afterwards: params.finish = True, with all markers among its inputs.
"""

from functools import partial
from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.activations.extract import extract, finish
    from neuroscaling.files import write_json

    params = snakemake.params
    part, completing = params.get("part"), params.get("finish")
    step = finish if completing else partial(extract, part=tuple(part) if part else None)
    for record, output in zip(snakemake.input.runs, snakemake.output, strict=True):
        folder = Path(record).parent
        step(
            snakemake.config["runs"][folder.name],
            folder,
            [Path(snakemake.input.stimuli)],
            [Path(output).with_name(f"{snakemake.wildcards.set}.json")],
            params.layers,
            dict(params.reduction),
            code=params.code,
            options=params.get("options"),
        )
        if part:
            write_json(output, {"format": "activations-slice/1", "part": list(part)})
