# Encoding of fMRI: preparation of raw NSD, scores by subject, accuracy over subjects, submissions, figures.


rule nsd:
    output:
        touch(MADE / "recordings/{nsd}/{subject}/manifest.json"),
    log:
        "logs/nsd/{nsd}-{subject}.log",
    benchmark:
        "benchmarks/nsd/{nsd}-{subject}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(8000),
        runtime=minutes(240),
    params:
        job=nsd_job,
    message:
        "Prepare the NSD responses of {wildcards.subject}"
    script:
        "../scripts/nsd.py"


for GROUP in GROUPS:
    for PACK in PACKS:

        rule:
            name:
                rule_name(encoding_stage(GROUP), PACK)
            input:
                before_encoding(GROUP, PACK),
            output:
                touch(encoding_marker(GROUP) / label_of(PACK)),
            log:
                f"logs/encoding/{encoding_label(GROUP, PACK)}.log",
            benchmark:
                f"benchmarks/encoding/{encoding_label(GROUP, PACK)}.tsv"
            conda:
                "../../envs/main.yaml"
            threads: 1
            resources:
                gpu=encoding_gpus(GROUP),
                mem_mb=encoding_memory(GROUP),
                runtime=minutes(240),
            params:
                outputs=encoding_scores(GROUP, PACK),
                entry=encoding_entry(GROUP),
                protocol=STUDY.config.protocol,
            message:
                f"Predict fMRI ({', '.join(job.subject for job in GROUP)}) from {title_of(PACK)}"
            script:
                "../scripts/encode.py"


if SUBJECTS:

    rule accuracy:
        input:
            with_now(encoding_markers(GROUPS)),
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
            fits=[STUDY.results.fit(name) for name in FITS],
            accuracy=STUDY.results.accuracy,
            submissions=[
                STUDY.results.submission(name).with_suffix(".json")
                for name in SUBMISSIONS
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
            code=code("encoding_figures"),
        message:
            "Draw the figures of encoding"
        script:
            "../scripts/encoding_figures.py"


if SUBMISSIONS:

    rule submission:
        input:
            before_submission,
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
            scores=submission_scores,
            average=submission_average,
            code=code("submission"),
        message:
            "Write the submission {wildcards.submission}"
        script:
            "../scripts/submission.py"
