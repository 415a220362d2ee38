# Activations of each run to each stimulus set: all layers in one pass.


if SLICES > 1:

    # The shards that a slice writes lie in a partial store that a killed job goes on with.
    rule activations_slice:
        input:
            before_extraction(None),
        output:
            touch(MADE / "activations/{run}/{set}.slices/{slice}"),
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
            jobs=extraction_jobs(None),
            slices=SLICES,
        message:
            f"Extract slice {{wildcards.slice}} of {SLICES} of {{wildcards.run}} to {{wildcards.set}}"
        script:
            "../scripts/activations_slice.py"


for PACK in PACKS:

    rule:
        name:
            rule_name("activations", PACK)
        input:
            before_extraction(PACK),
            slices=[
                MADE / f"activations/{{run}}/{{set}}.slices/{i}"
                for i in range(SLICES if SLICES > 1 else 0)
            ],
        output:
            touch(for_runs(MADE / "activations/{run}/{set}", PACK)),
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
            jobs=extraction_jobs(PACK),
        message:
            f"Extract the activations of {title_of(PACK)} to {{wildcards.set}}"
        script:
            "../scripts/activations.py"
