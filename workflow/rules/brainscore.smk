# Brain-Score in its own environment: its data, the layers that stand for regions, and scores.


# The one step of Brain-Score that needs a network. What it fetches is checked and read-only: jobs share the folder.
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
        benchmarks=lambda w: ASK.downloads[w.set],
        manifest=str(STORE.prefetched("{set}")),
    message:
        "Download the recordings and images of {params.benchmarks}"
    script:
        "../scripts/start_prefetch.py"


rule v4_assembly:
    input:
        lambda w: ASK.v4_recordings(w.session),
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
        job=lambda w: ASK.jobs.v4_assembly(w.session),
    message:
        "Write V4 session {wildcards.session} as an assembly for Brain-Score's classes"
    script:
        "../scripts/v4_assembly.py"


# Layers that other jobs need too; a job of scores chooses its own first.
rule layers:
    input:
        lambda w: ASK.before_choice(w.job),
    output:
        touch(MADE / "commitments/{job}"),
    log:
        "logs/layers/{job}.log",
    benchmark:
        "benchmarks/layers/{job}.tsv"
    priority: lambda w: ASK.priority(w.job) + AFTER_TRAINING
    conda:
        "../../envs/brainscore.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: scoring_asks(w, attempt).mem_mb,
        runtime=lambda w, attempt: scoring_asks(w, attempt).minutes,
    params:
        outputs=lambda w: ASK.choices(w.job),
        choice=lambda w: ASK.choice_settings(),
        definitions=lambda w: ASK.definitions(),
        code=lambda w: code_of("ceilings"),
        title=lambda w: GROUPS.to_score[w.job].title,
    message:
        "Choose layers for Brain-Score on {params.title}"
    script:
        "../scripts/start_choice.py"


# All benchmarks of a network are scored in one process, since starting it costs more than a score.
rule brainscore:
    input:
        lambda w: ASK.before_brainscore(w.job, w.part),
    output:
        touch(MADE / "scores/brainscore/{part}/{job}"),
    log:
        "logs/brainscore/{job}/{part}.log",
    benchmark:
        "benchmarks/brainscore/{job}/{part}.tsv"
    priority: lambda w: ASK.priority(w.job) + AFTER_TRAINING
    conda:
        "../../envs/brainscore.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: scoring_asks(w, attempt).mem_mb,
        runtime=lambda w, attempt: scoring_asks(w, attempt).minutes,
    params:
        chosen=lambda w: ASK.own_choices(w.job, w.part),
        choice=lambda w: ASK.choice_settings(),
        outputs=lambda w: ASK.brainscore(w.job, w.part),
        layers=lambda w: ASK.region_layers(w.job),
        readout=lambda w: ASK.readout(w.job),
        simulated=lambda w: ASK.parts.simulated(w.part),
        definitions=lambda w: ASK.definitions(),
        engine=lambda w: STUDY.config.brainscore.engine,
        protocol=STUDY.config.protocol,
        code=lambda w: code_of("ceilings"),
        title=lambda w: GROUPS.to_score[w.job].title + sets_in(w),
    message:
        "Score {params.title} with Brain-Score"
    script:
        "../scripts/start_scoring.py"
