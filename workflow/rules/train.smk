# Nested subsets of images, and the networks trained on them.


rule subset:
    output:
        subset=STORE / "subsets/{dataset}/{samples}-s{seed}.parquet",
    params:
        dataset=dataset_of,
    log:
        "logs/subset/{dataset}-{samples}-s{seed}.log",
    benchmark:
        "benchmarks/subset/{dataset}-{samples}-s{seed}.tsv"
    localrule: True
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    conda:
        "../../envs/main.yaml"
    message:
        "Draw {wildcards.samples} images per class of {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/subset.py"


# The weights and the state that a killed training resumes from are not declared: Snakemake would delete them when
# a job fails. run.json names the weights and their checksum.
rule train:
    input:
        subset=subset_of,
    output:
        run=STORE / "runs/{run}/run.json",
        history=STORE / "runs/{run}/history.parquet",
    params:
        run=settings_of,
    log:
        "logs/train/{run}.log",
    benchmark:
        "benchmarks/train/{run}.tsv"
    threads: 1
    resources:
        gpu=gpus_of,
        mem_mb=memory(4000),
        runtime=minutes(600),
    conda:
        "../../envs/main.yaml"
    message:
        "Train {wildcards.run}"
    script:
        "../scripts/train.py"
