# Nested subsets of images, packed data sets, and the networks trained on them.


rule subset:
    output:
        touch(MADE / "subsets/{dataset}/{subset}.parquet"),
    log:
        "logs/subset/{dataset}-{subset}.log",
    benchmark:
        "benchmarks/subset/{dataset}-{subset}.tsv"
    localrule: True
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        job=subset_job,
    message:
        "Draw the images {wildcards.subset} of {wildcards.dataset}"
    script:
        "../scripts/subset.py"


rule pack:
    output:
        touch(MADE / "packs/{dataset}/{form}-{size}/{split}.json"),
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
        settings=dataset_settings,
        folder=str(STORE.root / "packs/{dataset}/{form}-{size}"),
    message:
        "Pack the {wildcards.split} images of {wildcards.dataset}: {wildcards.form}, {wildcards.size} pixels"
    script:
        "../scripts/pack.py"


# Runs that are there belong to no job (study/wanted.py): neither another pack nor another study makes them anew.
for JOB in [None, *TRAIN_JOBS.packs]:

    rule:
        name:
            "train" if JOB is None else f"train_{JOB.name.replace('-', '_')}"
        input:
            before_training(JOB),
        output:
            touch(for_runs(MADE / "runs/{run}/run.json", JOB)),
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
        params:
            jobs=run_jobs(JOB),
        message:
            f"Train {title_of(JOB)}"
        script:
            "../scripts/train.py"
