"""Say what the benchmarks of a study can tell, and how lucky its layers were.

input: table; output: resolution (JSON); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]) as logger:
    from neuroscaling.laws.benchmark_file import write_benchmark_file

    content = write_benchmark_file(snakemake.input.table, snakemake.output.resolution)
    logger.info("%d benchmarks, luck of layers on %d", len(content.resolutions), len(content.luck))
