"""Score a run on V4 recordings: one session, or several in one process.

input: activations (manifest of the run's activations to a session's images, or a list of them)
output: scores (JSON, one for each session in the same order; per-neuron values go beside it as *.targets.parquet)
params: entry ({samples: list of numbers and "all", metrics: list of "pls", "ridge"})
wildcards: run; the folder of the recordings is config["located"]["v4"]
The session is told by the manifest's file name, `v4-<session>.json`.
log: one file
"""

from pathlib import Path

from neuroscaling.encoding.v4_score import score_v4
from neuroscaling.failures import failure_of, write_failure
from neuroscaling.logs import script_logging


def paths(value) -> list[Path]:
    """One path or several, as a list."""
    return [Path(value)] if isinstance(value, str | Path) else [Path(path) for path in value]


with script_logging(snakemake.log[0]):
    entry = snakemake.params.entry
    outputs = paths(snakemake.output.scores)
    for activations, output in zip(paths(snakemake.input.activations), outputs, strict=True):
        if reason := failure_of(activations):
            write_failure(output, snakemake.wildcards.run, reason)
            continue
        session = activations.stem.removeprefix("v4-")
        root = Path(snakemake.config["located"]["v4"])
        score_v4(activations, root, session, output, snakemake.wildcards.run, entry["samples"], entry["metrics"])
