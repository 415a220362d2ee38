# Simulated brains, and the stimulus sets that networks are shown.


rule simulate:
    output:
        manifest=STORE / "simulated/{brain}/manifest.json",
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
        settings=simulation_of,
        code=code("simulate"),
    message:
        "Make the SIMULATED brain {wildcards.brain}"
    script:
        "../scripts/simulate.py"


rule stimuli:
    input:
        stimulus_sources,
    output:
        manifest=STORE / "stimuli/{set}/manifest.json",
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
        degrees=degrees_of,
        code=code("stimuli"),
    message:
        "Prepare the stimulus set {wildcards.set}"
    script:
        "../scripts/stimuli.py"


rule v4_data:
    output:
        images=STORE / "data/v4/images/images_{session}.zip",
        responses=STORE / "data/v4/responses_repeat_averaged/responses_{session}.npy",
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
    message:
        "Download the V4 recordings of session {wildcards.session}"
    script:
        "../scripts/v4_data.py"
