# Brain-Score in its own environment: its data, the layers that stand for regions, and scores.


if PREFETCHED:

    # The one step that needs a network. What it fetches is checked, and read-only afterwards: jobs share the folder.
    rule prefetch:
        output:
            touch(MADE / "data/prefetched/{set}.json"),
        log:
            "logs/prefetch/{set}.log",
        benchmark:
            "benchmarks/prefetch/{set}.tsv"
        localrule: True
        conda:
            "../../envs/brainscore.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(240),
        params:
            benchmarks=benchmarks_of_set,
            manifest=str(STORE.prefetched("{set}")),
        message:
            "Download the recordings and images of {params.benchmarks}"
        script:
            "../scripts/start_prefetch.py"


rule v4_assembly:
    input:
        v4_needs,
    output:
        touch(MADE / "recordings/{data}/{session}/manifest.json"),
    log:
        "logs/v4_assembly/{data}-{session}.log",
    benchmark:
        "benchmarks/v4_assembly/{data}-{session}.tsv"
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        job=v4_assembly_job,
    message:
        "Write V4 session {wildcards.session} as an assembly for Brain-Score's classes"
    script:
        "../scripts/v4_assembly.py"


if TARGETS.references:
    # The runs on which layers are chosen, alone or in packs.
    for PACK in NETWORK_PACKS:
        ON = PACK and references_in(PACK)
        if ON is not None and not ON.runs:
            continue

        rule:
            name:
                rule_name("layers", PACK)
            input:
                before_choice(ON),
            output:
                touch(MADE / f"commitments/{label_of(ON)}"),
            log:
                f"logs/layers/{label_of(ON)}.log",
            benchmark:
                f"benchmarks/layers/{label_of(ON)}.tsv"
            conda:
                "../../envs/brainscore.yaml"
            threads: 1
            resources:
                mem_mb=memory(SCORING_MB),
                runtime=minutes(120),
            params:
                outputs=choices(ON),
                choice={
                    "way": layer_choice.choice_of_layers(STUDY.config),
                    "hierarchy": STUDY.config.brainscore.layers.hierarchy,
                    "inner_splits": STUDY.config.brainscore.layers.inner_splits,
                },
                definitions=DEFINITIONS,
                code=code_of("ceilings"),
            message:
                f"Choose layers of {title_of(ON)} for Brain-Score"
            script:
                "../scripts/start_choice.py"


# All benchmarks of a stimulus set are scored in one process, since starting it costs more than a score.
for JOB in JOBS:
    for PACK in NETWORK_PACKS:

        rule:
            name:
                rule_name(stage_of(JOB), PACK)
            input:
                before_scoring(JOB, PACK),
            output:
                touch(MADE / f"scores/{stage_of(JOB)}/{label_of(PACK)}"),
            log:
                f"logs/brainscore/{label_of(PACK)}-{JOB.data}.log",
            benchmark:
                f"benchmarks/brainscore/{label_of(PACK)}-{JOB.data}.tsv"
            conda:
                "../../envs/brainscore.yaml"
            threads: 1
            resources:
                mem_mb=memory(SCORING_MB),
                runtime=minutes(60),
            params:
                outputs=brainscore_scores(JOB, PACK),
                layers=region_layers_of(PACK),
                readout=readout_of(PACK),
                data=JOB.data,
                simulated=JOB.simulated,
                definitions=DEFINITIONS,
                engine=STUDY.config.brainscore.engine,
                protocol=STUDY.config.protocol,
                code=code_of("ceilings"),
            message:
                f"Score {title_of(PACK)} with Brain-Score on {JOB.data}"
            script:
                "../scripts/start_scoring.py"
