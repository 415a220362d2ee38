# A table of scores of one's own in place of networks: it becomes the study's score table.

if STUDY.own_table:
    config["located"]["own_tables"] = [str(file) for file in STUDY.own_table.files]

    rule own_table:
        output:
            table=STUDY.results.table,
        log:
            RESULTS / "logs/own_table.log",
        benchmark:
            RESULTS / "benchmarks/own_table.tsv"
        localrule: True
        conda:
            "../../envs/main.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(30),
        params:
            mapping=STUDY.own_table.mapping,
            data=STUDY.own_table.data,
            sha256=STUDY.own_table.sha256(STORE),
            code=code("own_table"),
        message:
            "Read the table of scores"
        script:
            "../scripts/own_table.py"
