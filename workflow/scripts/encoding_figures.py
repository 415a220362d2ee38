"""Draw the figures of an encoding study.

input: scores (list of the score files, their accuracies and targets beside them), table (parquet), fits (list of
fit JSON), accuracy (parquet), submissions (JSON beside the zips); output: index (JSON that lists the figures; they are
written beside it); params: words (of each source, what its targets are called); config: located.store, fsaverage
(folder of FreeSurfer's subject of that name; optional); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.core.recording_words import RecordingWords
    from neuroscaling.report.encoding_figures import encoding_figures
    from neuroscaling.study.wanted_lists import read_wanted

    wanted = read_wanted(snakemake.input.scores, snakemake.config["located"]["store"])
    encoding_figures(
        [str(path) for path in wanted if path.is_file()],
        snakemake.input.table,
        list(snakemake.input.get("fits", [])),
        snakemake.input.accuracy,
        snakemake.output.index,
        snakemake.config.get("fsaverage") or None,
        list(snakemake.input.submissions),
        {data: RecordingWords(**words) for data, words in snakemake.params["words"].items()},
    )
