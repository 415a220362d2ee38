# Nested subsets of images, packed data sets, and the networks trained on them.


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


# Shards that are whole stay when the job is killed: only the manifest is declared.
rule pack:
    output:
        manifest=STORE / "packs/{dataset}/{form}-{size}/{split}.json",
    log:
        "logs/pack/{dataset}-{form}-{size}-{split}.log",
    benchmark:
        "benchmarks/pack/{dataset}-{form}-{size}-{split}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: TRAINING.cpus
    resources:
        mem_mb=memory(4000),
        runtime=minutes(720),
    params:
        dataset=dataset_of,
    message:
        "Pack the {wildcards.split} images of {wildcards.dataset}: {wildcards.form}, {wildcards.size} pixels"
    script:
        "../scripts/pack.py"


# The weights and the state that a killed training resumes from are not declared: Snakemake would delete them when
# a job fails. run.json names the weights and their checksum. Runs that are there belong to no job (training_jobs.py):
# neither another pack nor another study makes them anew.
for JOB in [None, *TRAIN_JOBS.packs]:

    rule:
        name:
            "train" if JOB is None else f"train_{JOB.name.replace('-', '_')}"
        input:
            subsets=of_runs(subset_of, JOB),
            starts=of_runs(start_of, JOB),
            packs=of_runs(dataset_packs_of, JOB),
            now=NOW,
        output:
            runs=for_runs(STORE / "runs/{run}/run.json", JOB),
            histories=for_runs(STORE / "runs/{run}/history.parquet", JOB),
        log:
            f"logs/train/{label_of(JOB)}.log",
        benchmark:
            f"benchmarks/train/{label_of(JOB)}.tsv"
        wildcard_constraints:
            run=ALONE,
        conda:
            "../../envs/main.yaml"
        threads: TRAINING.cpus
        resources:
            **resources_of(
                "train",
                JOB,
                **steps_of_nodes(JOB),
                gpu=training_gpus(JOB),
                nodes=training_nodes(JOB),
                mem_mb=training_memory(JOB),
                runtime=training_minutes(JOB),
            ),
        message:
            f"Train {title_of(JOB)}"
        script:
            "../scripts/train.py"
