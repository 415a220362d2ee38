"""neuroscaling: from images to laws. One study file in, a report out.

snakemake --cores 2 --config study=config/studies/demo.yaml
"""

from snakemake.utils import min_version

# 9.20 takes a function for the priority of a job.
min_version("9.20")


configfile: workflow.source_path("config/config.yaml")


include: "workflow/rules/common_slurm.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/common_train.smk"
include: "workflow/rules/common_scores.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/activations.smk"
include: "workflow/rules/brainscore.smk"
include: "workflow/rules/encoding.smk"
include: "workflow/rules/laws.smk"
include: "workflow/rules/published.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        STUDY.results.report,
        [STUDY.results.submission(name) for name in ASK.submissions],
    localrule: True
