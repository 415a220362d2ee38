# The report: figures, tables and one page.


rule rulegraph:
    output:
        dot=RESULTS / "report/rulegraph.dot",
    log:
        RESULTS / "logs/rulegraph.log",
    # It reads the study file again: at once, before that may be edited.
    priority: 1_000_000
    localrule: True
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        stages=sorted({score.stage for score in TARGETS.scores}),
    message:
        "Draw the graph of the rules"
    script:
        "../scripts/rulegraph.py"


if STUDY.claims:

    rule claims:
        input:
            fits=[STUDY.results.fit(name) for name in STUDY.fits],
            influence=[STUDY.results.influence(name) for name in STUDY.fits],
        output:
            claims=STUDY.results.claims,
        log:
            RESULTS / "logs/claims.log",
        benchmark:
            RESULTS / "benchmarks/claims.tsv"
        localrule: True
        conda:
            "../../envs/main.yaml"
        resources:
            mem_mb=memory(1000),
            runtime=minutes(20),
        params:
            claims=[claim.model_dump(mode="json") for claim in STUDY.claims],
            code=code("claims"),
        message:
            "Judge the claims of the study"
        script:
            "../scripts/claims.py"


rule report:
    input:
        table=STUDY.results.table,
        runs=STUDY.results.wanted("runs"),
        layers=STUDY.results.wanted("layers"),
        fits=[STUDY.results.fit(name) for name in STUDY.fits],
        influence=[STUDY.results.influence(name) for name in STUDY.fits],
        claims=STUDY.results.claims if STUDY.claims else [],
        published=STUDY.results.published if STUDY.config.published else [],
        resolution=STUDY.results.resolution,
        encoding=STUDY.results.encoding if TARGETS.names.subjects else [],
        rulegraph=RESULTS / "report/rulegraph.dot",
    output:
        page=report(
            STUDY.results.report, caption="../report/page.rst", category="Report"
        ),
    log:
        RESULTS / "logs/report.log",
    benchmark:
        RESULTS / "benchmarks/report.tsv"
    localrule: True
    conda:
        "../../envs/main.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        study=STUDY.config.study,
        title=STUDY.config.title,
        laws=STUDY.laws,
        code=code("report"),
    message:
        "Write the report"
    script:
        "../scripts/report.py"
