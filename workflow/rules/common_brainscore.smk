# What the rules of Brain-Score share: what a job waits for, what it makes, and where its data lie.

# Benchmarks whose files are downloaded, by what the list of the files is called.
PREFETCHED = {
    job.made.stem: job.benchmarks
    for job in JOBS
    if job.made and job.made == STORE.prefetched(job.made.stem)
}
# The pack of each run, where there are packs: asked for run by run.
PACK_NAMES = {run: pack.name for pack in PACKS if pack for run in pack.runs}
DEFINITIONS = (
    {
        name: entry.model_dump(mode="json")
        for name, entry in sorted(STUDY.config.brainscore.define.items())
    }
    if JOBS
    else {}
)
# Without an interpreter the scripts take their own: conda has started them in Brain-Score's environment.
if JOBS:
    config["located"]["brainscore"] = {
        "python": "" if uses_conda() else python("brainscore"),
        "scripts": str(RULES.parent / "scripts"),
        "root": str(STORE.brainscore()),
        "ceilings": str(STORE.ceilings()),
        "folders": {job.data: str(job.folder) for job in JOBS},
    }
SCORING_MB = STUDY.config.brainscore.mem_mb if JOBS else 0


def stage_of(job):
    """Name of the scoring rule of a job; with the stimulus set where there are several."""
    return "brainscore" if len(JOBS) == 1 else f"brainscore_{JOBS.index(job) + 1}"


def references_in(pack):
    """The runs of a pack that layers are chosen on."""
    chosen_on = {run.run for run in TARGETS.references}
    return wanted.Pack(pack.name, tuple(run for run in pack.runs if run in chosen_on))


def choice_marker(run):
    """The marker of the job that chooses layers on a run."""
    return MADE / f"commitments/{PACK_NAMES.get(run, run)}"


def before_choice(pack):
    """What a choice of layers waits for: activations and recordings that are absent."""

    def markers(wildcards):
        runs = runs_of(wildcards, pack)
        wanted = [(run.run, name) for run in runs for name in ABSENT.choice_sets(run)]
        return [*extracted(wanted), *made(*(job.made for job in JOBS if job.made))]

    return markers


def choices(pack):
    """The files of chosen layers that a job makes."""

    def jobs(wildcards):
        runs = runs_of(wildcards, pack)
        return [job for run in runs for job in ASKED.choices(run)]

    return jobs


def before_scoring(job, pack):
    """What a score waits for: activations, chosen layers and recordings that are absent."""

    def markers(wildcards):
        runs = runs_of(wildcards, pack)
        left = ASKED.left(score for run in runs for score in ASKED.brainscore(run, job))
        missing = {one.commitment.stem for one in left if is_chosen_later(one)}
        data = made(job.made) if job.made else []
        layers = dict.fromkeys(choice_marker(run) for run in sorted(missing))
        activations = extracted((one.run, one.stimuli) for one in left)
        return [*activations, *layers, *data]

    return markers


def is_chosen_later(score):
    """Whether the layers that a score takes are chosen by a job of this start."""
    return score.commitment is not None and ABSENT(score.commitment)


def brainscore_scores(job, pack):
    """The score files that a job makes."""

    def jobs(wildcards):
        runs = runs_of(wildcards, pack)
        return [score for run in runs for score in ASKED.brainscore(run, job)]

    return jobs


def region_layers_of(pack):
    """Layers of regions that the study names or that were published."""

    def layers(wildcards):
        fixed = layer_choice.fixed_layers(STUDY.config, runs_of(wildcards, pack)[0])
        return dict(sorted(fixed["regions"].items()))

    return layers


def readout_of(pack):
    """The behavioural readout that the study names or that was published; empty for the last layer."""

    def readout(wildcards):
        run = runs_of(wildcards, pack)[0]
        return layer_choice.fixed_layers(STUDY.config, run)["readout"] or ""

    return readout


def benchmarks_of_set(wildcards):
    """Benchmarks whose files are fetched together."""
    return PREFETCHED[wildcards.set]


def v4_assembly_job(wildcards):
    """The session of V4 that a job writes as an assembly."""
    return ASKED.v4_assembly(wildcards.session)
