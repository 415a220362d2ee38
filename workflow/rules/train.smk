# Nested subsets of images, packed data sets, and the networks trained on them.


# One process draws all subsets of a data set, whose index it reads once.
rule subset:
    output:
        touch(MADE / "subsets/{dataset}"),
    log:
        "logs/subset/{dataset}.log",
    benchmark:
        "benchmarks/subset/{dataset}.tsv"
    localrule: True
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        jobs=lambda w: ASK.subsets(w.dataset),
    message:
        "Draw the subsets of {wildcards.dataset}"
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
        mem_mb=lambda w, attempt: pack_asks(w, attempt).mem_mb,
        runtime=lambda w, attempt: pack_asks(w, attempt).minutes,
    params:
        dataset=lambda w: dataset_name(w.dataset),
        settings=lambda w: ASK.dataset_settings(w.dataset),
        folder=str(STORE.root / "packs/{dataset}/{form}-{size}"),
    message:
        "Pack the {wildcards.split} images of {wildcards.dataset}: {wildcards.form}, {wildcards.size} pixels"
    script:
        "../scripts/pack.py"


# Runs that are there belong to no job: neither another group nor another study makes them anew. On a cluster the job
# extracts their activations too, where it has no more GPUs than that takes.
rule train:
    input:
        lambda w: ASK.before_training(w.job),
    output:
        touch(MADE / "train/{job}"),
    log:
        "logs/train/{job}.log",
    benchmark:
        "benchmarks/train/{job}.tsv"
    priority: lambda w: ASK.priority(w.job)
    conda:
        "../../envs/main.yaml"
    threads: TRAINING.cpus
    resources:
        **STEPS_OF_NODES,
        gpu=training_gpus,
        nodes=training_nodes,
        mem_mb=lambda w, attempt: training_asks(w, attempt).mem_mb,
        gpu_memory_mb=lambda w, attempt: training_asks(w, attempt).gpu_memory_mb,
        runtime=lambda w, attempt: training_asks(w, attempt).minutes,
    params:
        jobs=lambda w: ASK.runs_to_train(w.job),
        extractions=lambda w: ASK.extractions_of(ASK.extracted_after_training(w.job)),
        title=trained_title,
    message:
        "Train {params.title}"
    script:
        "../scripts/train.py"
