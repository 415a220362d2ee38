"""Score one or several runs on one or several subjects or sessions.

params: outputs (a ScoreJob for each score file; files beside them, see encoding/encoding_job.py), entry (what the study
asks of the source: a RecordingsEncoding), protocol; config: located.encoding (where each subject's
recordings lie); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0], [job.run for job in snakemake.params.outputs], snakemake.resources.get("gpu", 0)):
    from neuroscaling.encoding.encoding_job import score_encodings
    from neuroscaling.study.jobs import sound
    from neuroscaling.study.recordings import LocatedSubject

    outputs = sound(snakemake.params.outputs)
    located = snakemake.config["located"]["encoding"]
    score_encodings(
        outputs,
        snakemake.params.entry,
        {one.benchmark: LocatedSubject.of(located[f"{one.data}/{one.benchmark}"]) for one in outputs},
        snakemake.params.protocol,
    )
