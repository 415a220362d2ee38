# Simulated brains, and the stimulus sets that networks are shown.


rule simulate:
    output:
        manifest=STORE / "simulated/{brain}/manifest.json",
    params:
        settings=simulation_of,
        code=code("simulate"),
    log:
        "logs/simulate/{brain}.log",
    benchmark:
        "benchmarks/simulate/{brain}.tsv"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    conda:
        "../../envs/main.yaml"
    message:
        "Make the SIMULATED brain {wildcards.brain}"
    script:
        "../scripts/simulate.py"


rule stimuli:
    input:
        stimulus_sources,
    output:
        manifest=STORE / "stimuli/{set}/manifest.json",
    params:
        degrees=degrees_of,
        code=code("stimuli"),
    log:
        "logs/stimuli/{set}.log",
    benchmark:
        "benchmarks/stimuli/{set}.tsv"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    conda:
        "../../envs/main.yaml"
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
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    conda:
        "../../envs/main.yaml"
    message:
        "Download the V4 recordings of session {wildcards.session}"
    script:
        "../scripts/v4_data.py"
