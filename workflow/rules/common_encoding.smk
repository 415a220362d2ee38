# What the rules of fMRI share: which subjects one process scores, and how.

# With packs one process scores all subjects of a source; otherwise each subject is a job.
GROUPS = (
    [
        [job for job in SUBJECTS if job.data == data]
        for data in dict.fromkeys(job.data for job in SUBJECTS)
    ]
    if STUDY.config.pack > 1
    else [[job] for job in SUBJECTS]
)
SUBMISSIONS = {
    name: (entry, submission)
    for entry in STUDY.fmri
    for name, submission in getattr(entry, "submissions", {}).items()
}


def encoding_stage(group):
    """Name of the scoring rule of a group of subjects."""
    return "encoding" if len(GROUPS) == 1 else f"encoding_{GROUPS.index(group) + 1}"


def encoding_label(group, pack):
    """What logs and benchmarks are called."""
    subject = f"-{group[0].subject}" if len(group) == 1 else ""
    return f"{label_of(pack)}-{group[0].data}{subject}"


def encoding_activations(group, pack):
    """Activations to the images of a group of subjects, each manifest once."""
    sets = dict.fromkeys(job.stimuli.name for job in group)
    return [
        path
        for name in sets
        for path in for_runs(STUDY.store.activations("{run}", name), pack)
    ]


def encoding_outputs(group, pack):
    """Score files of a group of subjects."""
    return [
        path
        for job in group
        for path in for_runs(STUDY.store.score("{run}", job.data, job.benchmark), pack)
    ]


def recordings_made(group):
    """Files that rules of ours write when the recordings are there."""
    return sorted({str(job.made) for job in group if job.made})


def encoding_params(group):
    """What determines the scores of a group beside activations and recordings: the study's entry, and each set."""
    entry = group[0].entry.model_dump(mode="json", exclude={"data", "subjects"})
    entry["submissions"] = bool(entry.get("submissions"))
    return {"entry": entry, "sets": {job.benchmark: job.stimuli.name for job in group}}


def encoding_gpus(group):
    """GPUs of a scoring job."""
    return int(group[0].entry.ridge.gpu)


def encoding_memory(group):
    """Memory of a scoring job: what the study bounds, and room for predictions and libraries."""
    return memory(group[0].entry.ridge.memory_mb + 2000)


def nsd_job(wildcards):
    """The subject of raw NSD that a recording is prepared of."""
    return next(
        job
        for job in SUBJECTS
        if (job.data, job.subject) == (wildcards.nsd, wildcards.subject)
    )


def nsd_params(wildcards):
    """How a subject's responses are prepared."""
    entry = nsd_job(wildcards).entry
    return {
        "space": entry.space,
        "regions": entry.cortex,
        "repeats": entry.trials,
        "test": entry.test,
    }


def submitted(wildcards):
    """Score files of the networks and subjects of a submission; the predictions lie beside them."""
    entry, submission = SUBMISSIONS[wildcards.submission]
    runs = [
        name
        for name, run in RUNS.items()
        if submission.archs == "all" or run.arch in submission.archs
    ]
    jobs = [job for job in SUBJECTS if job.entry is entry]
    return [
        STUDY.store.score(run, job.data, job.benchmark) for job in jobs for run in runs
    ]


def submission_average(wildcards):
    """How a submission averages networks."""
    return SUBMISSIONS[wildcards.submission][1].average


config["located"]["nsd"] = {
    f"{job.data}/{job.subject}": str(job.entry.data.local)
    for job in SUBJECTS
    if job.kind == "recording"
}
