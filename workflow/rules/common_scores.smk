# What the jobs of extraction and scoring ask for.


def scoring_gpus(wildcards):
    """GPUs of an extraction: one where any of its runs has something to compute there."""
    return int(needs_gpu(ASK.scored_runs(wildcards.job)))


def brainscore_memory(wildcards, attempt):
    """Memory of a job of Brain-Score, as the study bounds it."""
    return STUDY.config.brainscore.mem_mb * attempt


def encoding_gpus(wildcards):
    """GPUs of a scoring job of recordings."""
    return int(ASK.ridge(wildcards.recordings, wildcards.subjects).gpu)


def encoding_memory(wildcards, attempt):
    """Memory of a scoring job of recordings: what the study bounds, and room for predictions and libraries."""
    bound = ASK.ridge(wildcards.recordings, wildcards.subjects).memory_mb
    return (bound + 2000) * attempt
