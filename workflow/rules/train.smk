# Nested subsets of images, and the networks trained on them.


rule subset:
    output:
        subset=STORE / "subsets/{dataset}/{samples}-s{seed}.parquet",
    log:
        "logs/subset/{dataset}-{samples}-s{seed}.log",
    benchmark:
        "benchmarks/subset/{dataset}-{samples}-s{seed}.tsv"
    localrule: True
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        dataset=dataset_of,
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
    log:
        "logs/train/{run}.log",
    benchmark:
        "benchmarks/train/{run}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        gpu=gpus_of,
        mem_mb=memory(4000),
        runtime=minutes(600),
    params:
        run=settings_of,
    message:
        "Train {wildcards.run}"
    script:
        "../scripts/train.py"
