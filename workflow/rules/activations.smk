# Activations of each run to each stimulus set: all layers in one pass.


rule activations:
    input:
        run=STORE / "runs/{run}/run.json",
        stimuli=STORE / "stimuli/{set}/manifest.json",
    output:
        manifest=STORE / "activations/{run}/{set}.json",
    params:
        run=settings_of,
        layers=layers_of,
        reduction=STUDY.config.reduction.model_dump(mode="json"),
        code=code("activations"),
    log:
        "logs/activations/{run}/{set}.log",
    benchmark:
        "benchmarks/activations/{run}/{set}.tsv"
    threads: 1
    resources:
        gpu=gpus_of,
        mem_mb=memory(4000),
        runtime=minutes(60),
    conda:
        "../../envs/main.yaml"
    message:
        "Extract the activations of {wildcards.run} to {wildcards.set}"
    script:
        "../scripts/activations.py"
