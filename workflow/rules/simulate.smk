# Simulated brains, and the stimulus sets that networks are shown.


rule simulate:
    output:
        touch(MADE / "simulated/{brain}/manifest.json"),
    log:
        "logs/simulate/{brain}.log",
    benchmark:
        "benchmarks/simulate/{brain}.tsv"
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        job=lambda w: ASK.jobs.simulated(w.brain),
    message:
        "Make the SIMULATED brain {wildcards.brain}"
    script:
        "../scripts/simulate.py"


rule stimuli:
    input:
        lambda w: ASK.before_stimuli(w.set),
    output:
        touch(MADE / "stimuli/{set}/manifest.json"),
    log:
        "logs/stimuli/{set}.log",
    benchmark:
        "benchmarks/stimuli/{set}.tsv"
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        job=lambda w: ASK.stimuli(w.set),
    message:
        "Prepare the stimulus set {wildcards.set}"
    script:
        "../scripts/stimuli.py"


rule v4_data:
    output:
        touch(MADE / "data/v4/images/images_{session}.zip"),
        touch(MADE / "data/v4/responses_repeat_averaged/responses_{session}.npy"),
    log:
        "logs/v4_data/{session}.log",
    benchmark:
        "benchmarks/v4_data/{session}.tsv"
    localrule: True
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        folder=STORE.v4(),
    message:
        "Download the V4 recordings of session {wildcards.session}"
    script:
        "../scripts/v4_data.py"
