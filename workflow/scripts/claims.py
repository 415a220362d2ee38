"""Judge the claims of a study.

input: fits (list of fit JSON; their bootstraps, and what they stand on, lie beside them); output: claims (JSON, a
section of the page); params: claims (as in files of claims); log[0].
"""

from neuroscaling.core.logs import script_logging

with script_logging(snakemake.log[0]):
    from neuroscaling.claims.judging import write_claims

    write_claims(snakemake.output.claims, snakemake.params.claims, list(snakemake.input.fits))
