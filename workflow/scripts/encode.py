"""Score one or several runs on one or several subjects of fMRI.

input: activations (manifests of the runs' activations to the subjects' images), data (files that say the recordings
are there); output: scores (JSON, one a run and subject; files beside them, see encoding/job.py)
params: job ({entry: the study's entry, sets: stimulus set by name of the scores}), data (name), protocol, code
config: located.encoding (where each subject's recordings lie); log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.encoding.batch import score_all

    score_all(
        [Path(file) for file in snakemake.input.activations],
        [Path(file) for file in snakemake.output],
        dict(snakemake.params.job),
        snakemake.config["located"]["encoding"],
        snakemake.params.protocol,
        snakemake.params.code,
    )
