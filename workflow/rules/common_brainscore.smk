# What the rules of Brain-Score share: jobs, the networks that layers are chosen on, and where their data lie.

CHOSEN = {
    job.stimuli.name: found
    for job in JOBS
    if (found := choice.chosen_benchmarks(STUDY, job))
}
# Benchmarks whose files are downloaded, by what the list of the files is called.
PREFETCHED = {
    job.made.stem: job.benchmarks
    for job in JOBS
    if job.made and job.made == STUDY.store.prefetched(job.made.stem)
}
CHOICE = choice.choice_key(STUDY, JOBS) if JOBS else ""
REFERENCES = (
    {
        name: choice.reference_run(STUDY, run).run
        for name, run in RUNS.items()
        if run.kind != "baseline"
    }
    if CHOSEN
    else {}
)
DEFINITIONS = (
    {
        name: entry.model_dump(mode="json")
        for name, entry in sorted(STUDY.config.brainscore.define.items())
    }
    if JOBS
    else {}
)


def chosen_set(job):
    """What the command for layers is told of a job: set, folder, name of the data, benchmarks."""
    return {
        "stimuli": job.stimuli.name,
        "folder": str(job.folder),
        "data": job.data,
        "benchmarks": list(CHOSEN[job.stimuli.name]),
    }


# Where things lie: in the config and not in params, so that moving a folder or a checkout makes nothing stale. Without
# an interpreter the scripts take their own: conda has started them in Brain-Score's environment.
if JOBS:
    config["located"]["brainscore"] = {
        "python": "" if uses_conda() else python("brainscore"),
        "scripts": str(RULES.parent / "scripts"),
        "root": str(STUDY.store.brainscore()),
        "folders": {job.data: str(job.folder) for job in JOBS},
        "ceilings": str(STORE / "ceilings"),
        "commitments": str(STORE / "commitments"),
        "choice": CHOICE or "none",
        "sets": [chosen_set(job) for job in JOBS if job.stimuli.name in CHOSEN],
    }
SCORING_MB = STUDY.config.brainscore.mem_mb if JOBS else 0


def stage_of(job):
    """Name of the scoring rule of a job; with the stimulus set where there are several."""
    return "brainscore" if len(JOBS) == 1 else f"brainscore_{JOBS.index(job) + 1}"


def recordings_of(job):
    """The file that a rule of ours writes when the recordings are there; nothing for a folder of the user."""
    return job.made or []


def references_of(pack):
    """The runs on which the layers of a pack's runs are chosen."""
    return list(dict.fromkeys(REFERENCES[run] for run in pack.runs))


def commitments_for(job, pack):
    """Chosen layers that the scores of a job take."""

    def of_job(wildcards):
        runs = [REFERENCES[wildcards.run]] if pack is None else references_of(pack)
        return [
            STUDY.store.commitment(run, job.data, benchmark, CHOICE)
            for run in runs
            for benchmark in CHOSEN[job.stimuli.name]
        ]

    return of_job if job.stimuli.name in CHOSEN else []


def references_for(job, pack):
    """Which run's layers each run of a job takes."""

    def of_job(wildcards):
        runs = [wildcards.run] if pack is None else pack.runs
        return {run: REFERENCES[run] for run in sorted(runs)}

    return of_job if job.stimuli.name in CHOSEN else {}


def benchmarks_of_set(wildcards):
    """Benchmarks whose files are fetched together."""
    return PREFETCHED[wildcards.set]
