"""Write the report.

input: table, runs and layers (lists of the study's runs, and of the layers chosen on them), fits (list of fit JSON),
rulegraph (DOT text), resolution (what benchmarks can tell), claims and published (sections of the page), encoding
(figures; both optional); output: page (index.html; figures are written beside it); params: study (name), title, laws
(what they are called); config: located (store: its folders; jobs, files: names that the benchmark files of the study's
own jobs have); log[0].
"""

from pathlib import Path

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.report.page import write_report
    from neuroscaling.study.wanted_lists import read_wanted

    located = snakemake.config["located"]
    runs, layers = (read_wanted(wanted, located["store"]) for wanted in (snakemake.input.runs, snakemake.input.layers))

    sections = [snakemake.input.get(name) for name in ("claims", "published")]
    write_report(
        snakemake.output.page,
        snakemake.input.table,
        runs,
        list(snakemake.input.get("fits", [])),
        snakemake.input.rulegraph,
        {
            "name": snakemake.params.study,
            "title": snakemake.params.title,
            "laws": snakemake.params.laws,
            **{key: located[key] for key in ("jobs", "files")},
        },
        ["benchmarks", Path(snakemake.output.page).parents[1] / "benchmarks"],
        [section for section in sections if section],
        snakemake.input.get("encoding") or None,
        snakemake.input.resolution,
        layers,
    )
