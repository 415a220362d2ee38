"""Score a run on a session of V4 recordings.

params: outputs (a V4ScoreJob for each score file; per-neuron values go beside it as *.targets.parquet), root (folder of
the recordings); log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.encoding.v4_scores import score_v4
    from neuroscaling.study.jobs import sound

    root = Path(snakemake.params.root)
    for job in sound(snakemake.params.outputs):
        score_v4(job.activations, root, job.benchmark, job.path, job.run, job.samples, job.metrics, job.definition)
