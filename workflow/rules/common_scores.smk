# What the jobs of extraction and scoring ask for.


def sets_in(wildcards):
    """What a job takes, for its message."""
    part = wildcards.part
    return "" if part == "all" else f", part {part.replace('-', ' ')}"


def scoring_gpus(wildcards):
    """GPUs of an extraction: one where any of its runs has something to compute there."""
    return int(needs_gpu(ASK.scored_runs(wildcards.job)))


def extraction_asks(wildcards, attempt):
    """Memory and time of a job of extraction; of features in slices little is left, of Gram matrices all."""
    parts = (
        STUDY.config.extraction.slices
        if STUDY.config.extraction.keep == "features"
        else 1
    )
    pairs = ASK.to_extract(wildcards.job, ASK.parts.sets[wildcards.part])
    return ASKED.extraction(pairs, parts).at(attempt)


def slice_asks(wildcards, attempt):
    """Memory and time of a slice of an extraction."""
    pairs = ASK.to_extract(wildcards.job, [wildcards.set])
    return ASKED.extraction(pairs, STUDY.config.extraction.slices).at(attempt)


def scoring_asks(wildcards, attempt):
    """Memory of a job of Brain-Score, as the study bounds it, and time."""
    return ASKED.scoring(ASK.scored_runs(wildcards.job)).at(attempt)


def preparation_asks(wildcards, attempt):
    """Memory and time of a job that prepares a subject's recordings."""
    return ASKED.preparation(wildcards.prepared, wildcards.subject).at(attempt)


def encoding_gpus(wildcards):
    """GPUs of a scoring job of recordings: one where any source uses it."""
    return int(
        any(entry.ridge.gpu for entry in ASK.parts.sources(wildcards.part).values())
    )


def encoding_asks(wildcards, attempt):
    """Memory and time of a scoring job of recordings."""
    runs = ASK.scored_runs(wildcards.job)
    return ASKED.encoding(runs, ASK.parts.subjects[wildcards.part]).at(attempt)
