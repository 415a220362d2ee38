# Published scores in place of one's own: their tables, the score table, and the figures of their study.

if STUDY.config.published:
    TABLES = wanted.wanted_tables(STUDY)
    config["located"]["tables"] = {
        key: str(STORE.find(path)) for key, path in TABLES.items()
    }

    rule published_data:
        output:
            touch(MADE / "data/published/{name}"),
        log:
            "logs/published_data/{name}.log",
        retries: 2
        localrule: True
        conda:
            "../../envs/main.yaml"
        resources:
            mem_mb=memory(500),
            runtime=minutes(30),
        params:
            table=str(STORE.published("{name}")),
        message:
            "Fetch {wildcards.name}"
        script:
            "../scripts/published_data.py"

    rule published_table:
        input:
            ASK.markers(TABLES.values()),
        output:
            table=STUDY.results.table,
        log:
            RESULTS / "logs/published_table.log",
        benchmark:
            RESULTS / "benchmarks/published_table.tsv"
        localrule: True
        conda:
            "../../envs/main.yaml"
        resources:
            mem_mb=memory(1000),
            runtime=minutes(10),
        params:
            trajectories=STUDY.config.published.trajectories,
            code=code("published_table"),
        message:
            "Read the published scores"
        script:
            "../scripts/published_table.py"

    rule published_figures:
        input:
            table=STUDY.results.table,
            fits=[STUDY.results.fit(name) for name in STUDY.fits],
            bootstraps=[STUDY.results.bootstraps(name) for name in STUDY.fits],
        output:
            index=STUDY.results.published,
        log:
            RESULTS / "logs/published_figures.log",
        benchmark:
            RESULTS / "benchmarks/published_figures.tsv"
        localrule: True
        conda:
            "../../envs/main.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(30),
        params:
            code=code("published_figures"),
        message:
            "Draw the published figures"
        script:
            "../scripts/published_figures.py"
