# What the rules of activations share: how many slices, what a job waits for, and what it makes.

SLICES = STUDY.config.extraction.slices


def runs_to_extract(wildcards, pack):
    """Runs of a job whose activations something absent needs; the weights of others may be gone."""
    runs = runs_of(wildcards, pack)
    return [run for run in runs if (run.run, wildcards.set) in ABSENT.activations]


def before_extraction(pack):
    """What extraction waits for: runs and stimuli that are absent."""

    def markers(wildcards):
        stimuli = STORE.stimuli(wildcards.set) / "manifest.json"
        own = {run.run for run in runs_to_extract(wildcards, pack)}
        runs = ABSENT.run_names & own
        return [
            *(marker(STORE.run(run) / RUN_RECORD) for run in sorted(runs)),
            *made(stimuli),
        ]

    return markers


def extraction_jobs(pack):
    """The activations that a job makes."""

    def jobs(wildcards):
        stimuli = SETS[wildcards.set]
        runs = runs_to_extract(wildcards, pack)
        return [ASKED.extraction(run, stimuli) for run in runs]

    return jobs
