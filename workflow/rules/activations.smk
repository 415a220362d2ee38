# Activations of each run to all stimulus sets: all layers in one pass, and the network is read once.


# The shards that a slice writes lie in a partial store that a killed job goes on with.
rule activations_slice:
    input:
        lambda w: ASK.before_slice(w.job, w.set),
    output:
        touch(MADE / "activations/{job}/{set}.slices/{slice}"),
    log:
        "logs/activations/{job}/{set}-{slice}.log",
    benchmark:
        "benchmarks/activations/{job}/{set}-{slice}.tsv"
    priority: lambda w: ASK.priority(w.job) + AFTER_TRAINING
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        gpu=scoring_gpus,
        mem_mb=lambda w, attempt: slice_asks(w, attempt).mem_mb,
        gpu_memory_mb=lambda w, attempt: slice_asks(w, attempt).gpu_memory_mb,
        runtime=lambda w, attempt: slice_asks(w, attempt).minutes,
    params:
        jobs=lambda w: ASK.sliced(w.job, w.set),
        slices=STUDY.config.extraction.slices,
    message:
        "Extract slice {wildcards.slice} of {params.slices} of {wildcards.job} to {wildcards.set}"
    script:
        "../scripts/activations_slice.py"


# Extracted first: weights that are not kept go before further ones come.
rule activations:
    input:
        lambda w: ASK.before_extraction(w.job, w.part),
        slices=lambda w: ASK.slices(w.job, w.part),
    output:
        touch(MADE / "activations/{job}/{part}"),
    log:
        "logs/activations/{job}/{part}.log",
    benchmark:
        "benchmarks/activations/{job}/{part}.tsv"
    priority: lambda w: ASK.priority(w.job) + AFTER_TRAINING
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        gpu=scoring_gpus,
        mem_mb=lambda w, attempt: extraction_asks(w, attempt).mem_mb,
        gpu_memory_mb=lambda w, attempt: extraction_asks(w, attempt).gpu_memory_mb,
        runtime=lambda w, attempt: extraction_asks(w, attempt).minutes,
    params:
        jobs=lambda w: ASK.extractions(w.job, w.part),
        title=lambda w: GROUPS.to_score[w.job].title + sets_in(w),
    message:
        "Extract the activations of {params.title}"
    script:
        "../scripts/activations.py"
