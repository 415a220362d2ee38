"""Score a run on fMRI in the Algonauts layout: all subjects in one process.

input: activations (manifest of the run's activations to the images of the source)
output: scores (JSON; per-vertex values go beside it as <benchmark>.targets.parquet)
params: entry ({subjects: "all" or list, regions: "all" or list})
wildcards: run, data; the folder with subj01, subj02, ... is config["located"]["algonauts"][data]
log: one file
"""

from pathlib import Path

from neuroscaling.encoding.score import score_tree
from neuroscaling.encoding.score_file import ScoreHeader
from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    output = Path(str(snakemake.output.scores))
    data = snakemake.wildcards.data
    header = ScoreHeader(snakemake.wildcards.run, data, data.startswith("simulated-"), output.stem, ("ridge",))
    score_tree(
        Path(str(snakemake.input.activations)),
        Path(snakemake.config["located"]["algonauts"][data]),
        output,
        header,
        snakemake.params.entry["subjects"],
        snakemake.params.entry["regions"],
    )
