"""Draw the figures of an encoding study.

input: wanted (the score files of the study, their accuracies and targets beside them), table (parquet), fits (list of
fit JSON), accuracy (parquet), submissions (JSON beside the zips); output: index (JSON that lists the figures; they are
written beside it); config: located.store, fsaverage (folder of FreeSurfer's subject of that name; optional); log[0].
"""

from pathlib import Path

from neuroscaling.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.paths import Store
    from neuroscaling.report.encoding.index import encoding_figures
    from neuroscaling.store.artefacts import read_wanted

    store = Store.of([Path(folder) for folder in snakemake.config["located"]["store"]])
    encoding_figures(
        [str(path) for path in read_wanted(snakemake.input.wanted, store, "encoding") if path.is_file()],
        snakemake.input.table,
        list(snakemake.input.get("fits", [])),
        snakemake.input.accuracy,
        snakemake.output.index,
        snakemake.config.get("fsaverage") or None,
        list(snakemake.input.submissions),
    )
