# What the table and the scores of V4 recordings wait for, and what the latter's jobs make.


def before_v4(wildcards):
    """What a score of a V4 session waits for: activations and recordings that are absent."""
    stimuli = TARGETS.sessions[wildcards.session].name
    return [*extracted([(wildcards.run, stimuli)]), *v4_needs(wildcards)]


def v4_scores(wildcards):
    """The score files that a job makes."""
    return ASKED.v4(RUNS[wildcards.run], wildcards.session)


def root_of_session(wildcards):
    """Where the recordings of a V4 session lie."""
    return v4_root(STUDY, wildcards.session)


def score_markers():
    """Markers of the jobs that make absent runs and scores."""
    runs = [marker(STORE.run(run.run) / RUN_RECORD) for run in ABSENT.runs]
    brainscore = [
        MADE / f"scores/{stage_of(job)}/{label}"
        for job in JOBS
        for label, pack in labelled(NETWORK_PACKS)
        if ASKED.left(
            score
            for run in pack
            if run.kind != "baseline"
            for score in ASKED.brainscore(run, job)
        )
    ]
    v4 = [
        MADE / f"scores/v4/{session}/{run.run}"
        for session in TARGETS.sessions
        for run in RUNS.values()
        if ASKED.left(ASKED.v4(run, session))
    ]
    return [*runs, *brainscore, *encoding_markers(GROUPS), *v4]
