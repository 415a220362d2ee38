"""neuroscaling: from images to laws. One study file in, a report out.

snakemake --cores 2 --config study=config/studies/demo.yaml
"""

from snakemake.utils import min_version

# 9.20 takes a function for the priority of a job.
min_version("9.20")


configfile: workflow.source_path("config/config.yaml")


# `--config container=IMAGE --sdm apptainer`: the image that all jobs run in.
if config.get("container"):

    container: config["container"]


include: "workflow/rules/start.smk"


# A job on a cluster reads the rules as they were when the driver started, and neither the study nor the checkout.
if START:

    include: START.rules.resolve()

else:

    include: RULES / "common_slurm.smk"
    include: RULES / "common.smk"
    include: RULES / "common_train.smk"
    include: RULES / "common_scores.smk"
    include: RULES / "simulate.smk"
    include: RULES / "train.smk"
    include: RULES / "activations.smk"
    include: RULES / "brainscore.smk"
    include: RULES / "encoding.smk"
    include: RULES / "laws.smk"
    include: RULES / "published.smk"
    include: RULES / "scores.smk"
    include: RULES / "report.smk"

    rule all:
        default_target: True
        input:
            STUDY.results.report,
            [STUDY.results.submission(name) for name in ASK.submissions],
        localrule: True

    include: RULES / "record.smk"


report: "workflow/report/workflow.rst"
