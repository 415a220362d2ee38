# Scores of V4 recordings.


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
