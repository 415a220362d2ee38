# Activations of each run to each stimulus set: all layers in one pass. `update` keeps the runs of a pack that are done.

SLICES = STUDY.config.extraction.slices

if SLICES > 1:

    # The shards that a slice writes are not declared: they lie in a partial store that a killed job goes on with.
    rule activations_slice:
        input:
            runs=STORE / "runs/{run}/run.json",
            stimuli=STORE / "stimuli/{set}/manifest.json",
        output:
            temp(touch(STORE / "activations/{run}/.{set}.slices/{slice}.done")),
        log:
            "logs/activations/{run}/{set}-{slice}.log",
        benchmark:
            "benchmarks/activations/{run}/{set}-{slice}.tsv"
        conda:
            "../../envs/main.yaml"
        threads: 1
        resources:
            gpu=gpus_for(None),
            mem_mb=memory(4000),
            runtime=minutes(60),
        params:
            layers=layers_of,
            reduction=STUDY.config.reduction.settings(),
            options=STUDY.config.extraction.determining(),
            slices=SLICES,
            code=code("activations"),
        message:
            f"Extract slice {{wildcards.slice}} of {SLICES} of {{wildcards.run}} to {{wildcards.set}}"
        script:
            "../scripts/activations_slice.py"


for PACK in PACKS:

    rule:
        name:
            rule_name("activations", PACK)
        input:
            runs=for_runs(STORE / "runs/{run}/run.json", PACK),
            stimuli=STORE / "stimuli/{set}/manifest.json",
            slices=[
                STORE / f"activations/{{run}}/.{{set}}.slices/{i}.done"
                for i in range(SLICES if SLICES > 1 else 0)
            ],
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
            **resources_of(
                "activations",
                PACK,
                gpu=gpus_for(PACK),
                mem_mb=memory(4000),
                runtime=minutes(60),
            ),
        params:
            layers=of_first_run(layers_of, PACK),
            reduction=STUDY.config.reduction.settings(),
            options=STUDY.config.extraction.determining(),
            code=code("activations"),
        message:
            f"Extract the activations of {title_of(PACK)} to {{wildcards.set}}"
        script:
            "../scripts/activations.py"
