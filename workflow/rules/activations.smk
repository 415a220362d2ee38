# Activations of each run to each stimulus set: all layers in one pass.


rule activations:
    input:
        run=STORE / "runs/{run}/run.json",
        stimuli=STORE / "stimuli/{set}/manifest.json",
    output:
        manifest=STORE / "activations/{run}/{set}.json",
    log:
        "logs/activations/{run}/{set}.log",
    benchmark:
        "benchmarks/activations/{run}/{set}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        gpu=gpus_of,
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        run=settings_of,
        layers=layers_of,
        reduction=STUDY.config.reduction.model_dump(mode="json"),
        code=code("activations"),
    message:
        "Extract the activations of {wildcards.run} to {wildcards.set}"
    script:
        "../scripts/activations.py"
