# Brain-Score in its own environment: its data, the layers that stand for regions, and scores.


if PREFETCHED:

    # The one step that needs a network. What it fetches is checked, and read-only afterwards: jobs share the folder.
    rule prefetch:
        output:
            manifest=STUDY.store.prefetched("{set}"),
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
        message:
            "Download the recordings and images of {params.benchmarks}"
        script:
            "../scripts/start_prefetch.py"


rule v4_assembly:
    input:
        v4_inputs,
    output:
        manifest=STUDY.store.v4_assemblies() / "{session}/manifest.json",
    log:
        "logs/v4_assembly/{session}.log",
    benchmark:
        "benchmarks/v4_assembly/{session}.tsv"
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        code=code("v4_assembly"),
    message:
        "Write V4 session {wildcards.session} as an assembly for Brain-Score's classes"
    script:
        "../scripts/v4_assembly.py"


if CHOSEN:
    # The runs on which layers are chosen, alone or in packs.
    for PACK in NETWORK_PACKS:
        if PACK is not None and not set(PACK.runs) & set(REFERENCES.values()):
            continue
        ON = PACK and targets.Pack(
            PACK.name, tuple(run for run in PACK.runs if run in REFERENCES.values())
        )

        rule:
            name:
                rule_name("layers", PACK)
            input:
                activations=[
                    path
                    for job in JOBS
                    if job.stimuli.name in CHOSEN
                    for path in for_runs(
                        STUDY.store.activations("{run}", job.stimuli.name), ON
                    )
                ],
                data=[job.made for job in JOBS if job.made],
            output:
                update(
                    [
                        path
                        for job in JOBS
                        for benchmark in CHOSEN.get(job.stimuli.name, [])
                        for path in for_runs(
                            STUDY.store.commitment(
                                "{run}", job.data, benchmark, CHOICE
                            ),
                            ON,
                        )
                    ]
                ),
            log:
                f"logs/layers/{label_of(ON)}-{CHOICE}.log",
            benchmark:
                f"benchmarks/layers/{label_of(ON)}-{CHOICE}.tsv"
            conda:
                "../../envs/brainscore.yaml"
            threads: 1
            resources:
                mem_mb=memory(SCORING_MB),
                runtime=minutes(120),
            params:
                choice={
                    "way": choice.way(STUDY.config),
                    "hierarchy": STUDY.config.brainscore.layers.hierarchy,
                    "inner_splits": STUDY.config.brainscore.layers.inner_splits,
                },
                definitions=DEFINITIONS,
                code=code("choose_layers"),
            message:
                f"Choose layers of {title_of(ON)} for Brain-Score"
            script:
                "../scripts/start_choice.py"


# All benchmarks of a stimulus set are scored in one process, since starting it costs more than a score. `update` keeps
# what is there when a benchmark is added; the script scores what is missing.
for JOB in JOBS:
    for PACK in NETWORK_PACKS:

        rule:
            name:
                rule_name(stage_of(JOB), PACK)
            input:
                activations=for_runs(
                    STUDY.store.activations("{run}", JOB.stimuli.name), PACK
                ),
                layers=commitments_for(JOB, PACK),
                data=recordings_of(JOB),
            output:
                update(
                    [
                        path
                        for benchmark in JOB.benchmarks
                        for path in for_runs(
                            STUDY.store.score("{run}", JOB.data, benchmark), PACK
                        )
                    ]
                ),
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
                layers=of_first_run(region_layers_of, PACK),
                readout=of_first_run(readout_of, PACK),
                data=JOB.data,
                simulated=JOB.simulated,
                references=references_for(JOB, PACK),
                definitions=DEFINITIONS,
                engine=STUDY.config.brainscore.engine,
                protocol=STUDY.config.protocol,
                code=code("score_brainscore"),
            message:
                f"Score {title_of(PACK)} with Brain-Score on {JOB.data}"
            script:
                "../scripts/start_scoring.py"
