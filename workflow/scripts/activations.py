"""Extract a run's activations to one or several stimulus sets, all layers in one pass.

input: run (the run's run.json), stimuli (manifest.json of one set, or a list of them)
output: manifest (the store's manifest beside the Zarr group, one for each set in the same order)
params: run (settings of the run), layers (list of names, or {candidates, regions, readout}; may be empty),
reduction ({kind: none} or {kind: grid, size: k})
log: one file
"""

from pathlib import Path

from neuroscaling.activations.extract import extract
from neuroscaling.logs import script_logging


def paths(value) -> list[Path]:
    """One path or several, as a list."""
    return [Path(value)] if isinstance(value, str | Path) else [Path(path) for path in value]


with script_logging(snakemake.log[0]):
    extract(
        dict(snakemake.params.run),
        Path(str(snakemake.input.run)).parent,
        paths(snakemake.input.stimuli),
        paths(snakemake.output.manifest),
        snakemake.params.layers,
        dict(snakemake.params.reduction),
    )
