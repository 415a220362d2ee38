"""Fit all laws of a study to its score table, those that are in step left out.

input: table; output: a marker; each fit is left where fit.py finds it; config: located.fits (folder of the fits,
settings of each FitJob by name, code: fingerprint of fit.py and of the library behind it); threads; log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0], cpus=snakemake.threads):
    from neuroscaling.laws.study_fits import StudyFit, write_fits

    located, table = snakemake.config["located"]["fits"], snakemake.input.table
    folder, code = Path(located["folder"]), located["code"]
    fits = [StudyFit.of(name, one, folder, table, code) for name, one in located["settings"].items()]
    write_fits(fits, table, snakemake.threads)
