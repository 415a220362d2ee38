# Encoding of recordings: their preparation, scores by subject, accuracy over subjects, submissions, figures.


rule prepare_recording:
    output:
        touch(MADE / "recordings/{prepared}/{subject}/manifest.json"),
    log:
        "logs/recordings/{prepared}-{subject}.log",
    benchmark:
        "benchmarks/recordings/{prepared}-{subject}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: preparation_asks(w, attempt).mem_mb,
        runtime=lambda w, attempt: preparation_asks(w, attempt).minutes,
    params:
        job=lambda w: ASK.jobs.preparation(w.prepared, w.subject),
    message:
        "Prepare the recordings of {wildcards.subject}"
    script:
        "../scripts/prepare_recording.py"


# All subjects of all sources are scored in one process, one after another.
rule encoding:
    input:
        lambda w: ASK.before_encoding(w.job, w.part),
    output:
        touch(MADE / "scores/encoding/{part}/{job}"),
    log:
        "logs/encoding/{job}/{part}.log",
    benchmark:
        "benchmarks/encoding/{job}/{part}.tsv"
    priority: lambda w: ASK.priority(w.job) + AFTER_TRAINING
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        gpu=encoding_gpus,
        mem_mb=lambda w, attempt: encoding_asks(w, attempt).mem_mb,
        gpu_memory_mb=lambda w, attempt: encoding_asks(w, attempt).gpu_memory_mb,
        runtime=lambda w, attempt: encoding_asks(w, attempt).minutes,
    params:
        outputs=lambda w: ASK.encoding(w.job, w.part),
        sources=lambda w: ASK.parts.sources(w.part),
        protocol=STUDY.config.protocol,
        title=lambda w: GROUPS.to_score[w.job].title + sets_in(w),
    message:
        "Predict recordings from {params.title}"
    script:
        "../scripts/encode.py"


rule accuracy:
    input:
        ASK.before_accuracy(),
        scores=STUDY.results.wanted("encoding"),
    output:
        accuracy=STUDY.results.accuracy,
        comparisons=STUDY.results.accuracy.with_name("comparisons.parquet"),
    log:
        RESULTS / "logs/accuracy.log",
    benchmark:
        RESULTS / "benchmarks/accuracy.tsv"
    localrule: True
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        code=code("accuracy"),
    message:
        "Accuracy over subjects, with intervals over subjects and images"
    script:
        "../scripts/accuracy.py"


rule encoding_figures:
    input:
        scores=STUDY.results.wanted("encoding"),
        table=STUDY.results.table,
        fits=[STUDY.results.fit(name) for name in STUDY.fits],
        accuracy=STUDY.results.accuracy,
        submissions=[
            STUDY.results.submission(name).with_suffix(".json")
            for name in ASK.submissions
        ],
    output:
        index=STUDY.results.encoding,
    log:
        RESULTS / "logs/encoding_figures.log",
    benchmark:
        RESULTS / "benchmarks/encoding_figures.tsv"
    localrule: True
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        words={job.data: asdict(job.entry.words) for job in TARGETS.names.subjects},
        code=code("encoding_figures"),
    message:
        "Draw the figures of encoding"
    script:
        "../scripts/encoding_figures.py"


rule submission:
    input:
        lambda w: ASK.before_submission(w.submission),
    output:
        zip=RESULTS / "submissions/{submission}.zip",
        facts=RESULTS / "submissions/{submission}.json",
    log:
        RESULTS / "logs/submission/{submission}.log",
    benchmark:
        RESULTS / "benchmarks/submission/{submission}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        scores=lambda w: ASK.submission_scores(w.submission),
        average=lambda w: ASK.submissions[w.submission][1].average,
        code=code("submission"),
    message:
        "Write the submission {wildcards.submission}"
    script:
        "../scripts/submission.py"
