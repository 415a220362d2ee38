# Scores: Brain-Score in its own environment, fMRI in the Algonauts layout, V4 recordings.

if STUDY.config.brainscore:
    DATA = STUDY.data_name(STUDY.config.brainscore.data)
    SIMULATED = "--simulated" if DATA.startswith("simulated-") else ""

    # All benchmarks of a run are scored in one process, since starting it costs more than a score. `update` keeps
    # what is there when a benchmark is added; the script scores what is missing.
    for PACK in NETWORK_PACKS:

        rule:
            name:
                rule_name("brainscore", PACK)
            input:
                activations=for_runs(
                    STUDY.store.activations(
                        "{run}", targets.brainscore_set(STUDY).name
                    ),
                    PACK,
                ),
                data=manifest_of(DATA),
            output:
                update(
                    [
                        path
                        for benchmark in STUDY.config.brainscore.benchmarks
                        for path in for_runs(
                            STUDY.store.score("{run}", DATA, benchmark),
                            PACK,
                        )
                    ]
                ),
            log:
                f"logs/brainscore/{label_of(PACK)}-{DATA}.log",
            benchmark:
                f"benchmarks/brainscore/{label_of(PACK)}-{DATA}.tsv"
            conda:
                "../../envs/brainscore.yaml"
            threads: 1
            resources:
                mem_mb=memory(4000),
                runtime=minutes(60),
            params:
                layers=of_first_run(region_layers_of, PACK),
                readout=of_first_run(readout_of, PACK),
                protocol=STUDY.config.protocol,
                code=code("score_brainscore"),
            message:
                f"Score {title_of(PACK)} with Brain-Score"
            shell:
                f"{python('brainscore')} {RULES.parent / 'scripts/score_brainscore.py'}"
                " --activations {input.activations}"
                f" --data {targets.brainscore_folder(STUDY)} --data-name {DATA} {SIMULATED}"
                f" --ceilings {STORE / 'ceilings' / DATA}"
                " --layers {params.layers:q} {params.readout} --protocol {params.protocol} --code {params.code}"
                " --log {log} --outputs {output}"


rule encoding:
    input:
        activations=encoding_activations,
        data=encoding_data,
    output:
        scores=STORE / "scores/{run}/{data}/algonauts2023.json",
    log:
        "logs/encoding/{run}-{data}.log",
    benchmark:
        "benchmarks/encoding/{run}-{data}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(120),
    params:
        entry=encoding_entry,
        protocol=STUDY.config.protocol,
        code=code("score_encoding"),
    message:
        "Predict fMRI of {wildcards.data} from {wildcards.run}"
    script:
        "../scripts/score_encoding.py"


rule v4:
    input:
        activations=STORE / "activations/{run}/v4-{session}.json",
        data=v4_inputs,
    output:
        scores=STORE / "scores/{run}/v4/{session}.json",
    log:
        "logs/v4/{run}-{session}.log",
    benchmark:
        "benchmarks/v4/{run}-{session}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        entry=v4_entry,
        protocol=STUDY.config.protocol,
        code=code("score_v4"),
    message:
        "Predict the V4 neurons of session {wildcards.session} from {wildcards.run}"
    script:
        "../scripts/score_v4.py"
