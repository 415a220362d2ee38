# The score table and the laws fitted to it.


rule table:
    input:
        scores=targets.score_files(STUDY),
        runs=targets.run_files(STUDY),
    output:
        table=STUDY.results.table,
    params:
        code=code("table"),
    log:
        RESULTS / "logs/table.log",
    benchmark:
        RESULTS / "benchmarks/table.tsv"
    localrule: True
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    conda:
        "../../envs/main.yaml"
    message:
        "Collect the scores in one table"
    script:
        "../scripts/table.py"


rule fit:
    input:
        table=STUDY.results.table,
    output:
        fit=RESULTS / "fits/{fit}.json",
        bootstraps=RESULTS / "fits/{fit}.bootstraps.parquet",
    params:
        fit=fit_of,
        code=code("fit"),
    log:
        RESULTS / "logs/fit/{fit}.log",
    benchmark:
        RESULTS / "benchmarks/fit/{fit}.tsv"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    conda:
        "../../envs/main.yaml"
    message:
        "Fit {wildcards.fit}"
    script:
        "../scripts/fit.py"
