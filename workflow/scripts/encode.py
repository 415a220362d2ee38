"""Score one or several runs on the subjects or sessions of one or several sources.

params: outputs (a ScoreJob for each score file; files beside them, see encoding/encoding_job.py), sources (what the
study asks of each source: RecordingsEncodings by the name of the recordings), protocol; config: located.encoding (where
each subject's recordings lie); resources: runtime; log[0].
"""

from neuroscaling.core.logs import Pieces, script_logging

with script_logging(
    snakemake.log[0],
    sorted({job.run for job in snakemake.params.outputs}),
    snakemake.resources.get("gpu", 0),
    snakemake.threads,
):
    from neuroscaling.encoding.encoding_job import score_encodings
    from neuroscaling.study.jobs import sound
    from neuroscaling.study.recordings import LocatedSubject

    params, located = snakemake.params, snakemake.config["located"]["encoding"]
    pieces = Pieces(len(params.sources) == 1)
    for data, entry in params.sources.items():
        outputs = [one for one in sound(params.outputs) if one.data == data]
        places = {one.benchmark: LocatedSubject.of(located[f"{data}/{one.benchmark}"]) for one in outputs}
        with pieces.piece(data):
            score_encodings(outputs, entry, places, params.protocol, snakemake.resources.get("runtime"))
    pieces.end()
