# Scores of V4 recordings.


rule v4:
    input:
        before_v4,
    output:
        touch(MADE / "scores/v4/{session}/{run}"),
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
        outputs=v4_scores,
        root=root_of_session,
    message:
        "Predict the V4 neurons of session {wildcards.session} from {wildcards.run}"
    script:
        "../scripts/score_v4.py"
