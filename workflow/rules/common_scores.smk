# What the jobs of extraction and scoring ask for.


def sets_in(wildcards):
    """What a job takes, for its message."""
    part = wildcards.part
    return "" if part == "all" else f", part {part.replace('-', ' ')}"


def scoring_gpus(wildcards):
    """GPUs of an extraction: one where any of its runs has something to compute there."""
    return int(needs_gpu(ASK.scored_runs(wildcards.job)))


def brainscore_memory(wildcards, attempt):
    """Memory of a job of Brain-Score, as the study bounds it."""
    return STUDY.config.brainscore.mem_mb * attempt


def encoding_gpus(wildcards):
    """GPUs of a scoring job of recordings: one where any source uses it."""
    return int(
        any(entry.ridge.gpu for entry in ASK.parts.sources(wildcards.part).values())
    )


def encoding_memory(wildcards, attempt):
    """Memory of a scoring job of recordings: what the study bounds, and room for predictions and libraries."""
    bounds = [e.ridge.memory_mb for e in ASK.parts.sources(wildcards.part).values()]
    return (max(bounds) + 2000) * attempt
