# Activations of each run to each stimulus set: all layers in one pass. `update` keeps the runs of a pack that are done.

for PACK in PACKS:

    rule:
        name:
            rule_name("activations", PACK)
        input:
            runs=for_runs(STORE / "runs/{run}/run.json", PACK),
            stimuli=STORE / "stimuli/{set}/manifest.json",
        output:
            update(for_runs(STORE / "activations/{run}/{set}.json", PACK)),
        log:
            f"logs/activations/{label_of(PACK)}/{{set}}.log",
        benchmark:
            f"benchmarks/activations/{label_of(PACK)}/{{set}}.tsv"
        conda:
            "../../envs/main.yaml"
        threads: 1
        resources:
            gpu=gpus_for(PACK),
            mem_mb=memory(4000),
            runtime=minutes(60),
        params:
            layers=of_first_run(layers_of, PACK),
            reduction=STUDY.config.reduction.settings(),
            code=code("activations"),
        message:
            f"Extract the activations of {title_of(PACK)} to {{wildcards.set}}"
        script:
            "../scripts/activations.py"
