# The score table and the laws fitted to it.


if not (STUDY.config.published or STUDY.own_table):

    rule table:
        input:
            ASK.before_table(),
            scores=STUDY.results.wanted("scores"),
            runs=STUDY.results.wanted("runs"),
        output:
            table=STUDY.results.table,
        log:
            RESULTS / "logs/table.log",
        benchmark:
            RESULTS / "benchmarks/table.tsv"
        localrule: True
        conda:
            "../../envs/main.yaml"
        resources:
            mem_mb=memory(1000),
            runtime=minutes(10),
        params:
            accuracy=STUDY.config.accuracy,
            protocol=STUDY.config.protocol,
            code=code("table"),
        message:
            "Collect the scores in one table"
        script:
            "../scripts/table.py"


# One process fits all laws that are not in step: starting one takes longer than most fits.
rule fits:
    input:
        table=STUDY.results.table,
    output:
        touch(MADE / "fits"),
    log:
        RESULTS / "logs/fits.log",
    benchmark:
        RESULTS / "benchmarks/fit.tsv"
    conda:
        "../../envs/main.yaml"
    threads: FIT_THREADS
    resources:
        mem_mb=memory(500 + 500 * FIT_THREADS),
        runtime=minutes(120),
    message:
        "Fit the laws"
    script:
        "../scripts/fits.py"


# Where one fit is stale, all are put in place again: those in step as they were.
rule fit:
    input:
        MADE / "fits",
        table=STUDY.results.table,
    output:
        fit=RESULTS / "fits/{fit}.json",
        bootstraps=RESULTS / "fits/{fit}.bootstraps.parquet",
        influence=RESULTS / "fits/{fit}.influence.json",
        without_groups=RESULTS / "fits/{fit}.influence.parquet",
    log:
        RESULTS / "logs/fit/{fit}.log",
    localrule: True
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    params:
        fit=lambda w: fit_settings(w.fit),
        code=code("fit"),
    message:
        "Take the fit {wildcards.fit}"
    script:
        "../scripts/fit.py"


rule resolution:
    input:
        table=STUDY.results.table,
    output:
        resolution=STUDY.results.resolution,
    log:
        RESULTS / "logs/resolution.log",
    benchmark:
        RESULTS / "benchmarks/resolution.tsv"
    localrule: True
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("resolution"),
    message:
        "Say what the benchmarks can tell, and how lucky layers were"
    script:
        "../scripts/resolution.py"
