# Scores of V4 recordings, a job for each run.


rule v4:
    input:
        lambda w: ASK.before_v4(w.run, w.session),
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
        outputs=lambda w: ASK.v4(w.run, w.session),
        root=lambda w: v4_root(STUDY, w.session),
    message:
        "Predict the V4 neurons of session {wildcards.session} from {wildcards.run}"
    script:
        "../scripts/score_v4.py"
