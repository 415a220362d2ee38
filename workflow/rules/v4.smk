# Scores of V4 recordings.


def before_v4(wildcards):
    """What a score of a V4 session waits for: activations and recordings that are absent."""
    stimuli = TARGETS.sessions[wildcards.session].name
    return [*extracted([wildcards.run], stimuli), *v4_needs(wildcards)]


def v4_scores(wildcards):
    """The score files that a job makes."""
    return ASKED.v4(RUNS[wildcards.run], wildcards.session)


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
        root=lambda wildcards: v4_root(STUDY, wildcards.session),
    message:
        "Predict the V4 neurons of session {wildcards.session} from {wildcards.run}"
    script:
        "../scripts/score_v4.py"
