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


def encoding_marker(group):
    """The marker of the job that scores a group of subjects, with the run's or the pack's name to come."""
    parts = [group[0].data, *([group[0].subject] if len(group) == 1 else [])]
    return MADE.joinpath("scores/fmri", *parts)


def before_encoding(group, pack):
    """What scores of a group of subjects wait for: activations and recordings that are absent."""

    def markers(wildcards):
        runs = runs_of(wildcards, pack)
        left = ASKED.left(ASKED.encoding(run, job) for job in group for run in runs)
        activations = extracted((one.run, one.stimuli) for one in left)
        return [*activations, *made(*(job.made for job in group if job.made))]

    return markers


def encoding_scores(group, pack):
    """The score files that a job makes."""

    def jobs(wildcards):
        runs = runs_of(wildcards, pack)
        return [ASKED.encoding(run, subject) for subject in group for run in runs]

    return jobs


def encoding_entry(group):
    """What the study asks of the source of a group of subjects."""
    return group[0].entry


def encoding_gpus(group):
    """GPUs of a scoring job."""
    return int(group[0].entry.ridge.gpu)


def encoding_memory(group):
    """Memory of a scoring job: what the study bounds, and room for predictions and libraries."""
    return memory(group[0].entry.ridge.memory_mb + 2000)


def nsd_job(wildcards):
    """The subject of raw NSD that a recording is prepared of."""
    return ASKED.nsd(wildcards.nsd, wildcards.subject)


def submitted(wildcards):
    """Score files of the networks and subjects of a submission."""
    entry, submission = SUBMISSIONS[wildcards.submission]
    return TARGETS.submitted(entry, submission.archs)


def submission_scores(wildcards):
    """What these files are called in the store."""
    return [STORE.name_of(path) for path in submitted(wildcards)]


def before_submission(wildcards):
    """What a submission waits for: the jobs of those of its scores that are absent."""
    entry, _ = SUBMISSIONS[wildcards.submission]
    groups = [group for group in GROUPS if group[0].entry is entry]
    return with_now(encoding_markers(groups))


def encoding_markers(groups):
    """Markers of the jobs that make absent scores of fMRI."""
    return [
        encoding_marker(group) / label
        for group in groups
        for label, runs in labelled(PACKS)
        if ASKED.left(ASKED.encoding(run, job) for job in group for run in runs)
    ]


def submission_average(wildcards):
    """How a submission averages networks."""
    return SUBMISSIONS[wildcards.submission][1].average


config["located"]["encoding"] = {
    f"{job.data}/{job.benchmark}": job.located for job in SUBJECTS
}
config["located"]["submissions"] = {
    name: next(str(job.folder) for job in SUBJECTS if job.entry is entry)
    for name, (entry, _) in SUBMISSIONS.items()
}
