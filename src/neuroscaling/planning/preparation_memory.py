"""Memory of the jobs that prepare recordings and pack data sets, from what is known of their files.

A file that is written or read as it is mapped counts as memory of its job, wherever a scheduler adds up what processes
have mapped. Megabytes have 10^6 bytes.
"""

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.planning.encoding import subject_shape
from neuroscaling.planning.workload import size_of
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.preparation_jobs import ArraysJob, TvsdJob
from neuroscaling.study.recordings import EncodingJob

MB = 10**6
RECORDINGS_MB, PACK_MB = 8000, 4000
"""Asked for at least; and where nothing is known of the files."""
PROCESS_MB = 1600
"""Of a job's processes: its own with all libraries, and the Snakemake that starts it."""
HELD = 2
"""Times the bound of what a preparation holds at once: the block itself, and what it becomes."""
NUMBER_BYTES = 4
"""Of a prepared response."""
SHARD_MB = 1100
"""Of a shard of a pack: decoded ones are mapped, files wait to be written."""
LISTED_MB = 1e-3
"""Of an image in the listing of a data set and its pack: .8 kB, measured on 10,000 and 100,000 images."""


def recordings_mb(study: LoadedStudy, subject: EncodingJob) -> float:
    """Megabytes of the job that prepares a subject: the block that it holds, and the files that it has mapped."""
    job, shape = subject.preparation, subject_shape(study, subject)
    if job is None or shape is None:
        return RECORDINGS_MB
    mapped = NUMBER_BYTES * (shape.training + shape.test) * shape.targets
    if isinstance(job, ArraysJob) and job.arrays.responses.is_file() and job.arrays.responses.suffix == ".npy":
        mapped += job.arrays.responses.stat().st_size
    held = 0.0 if isinstance(job, TvsdJob) else HELD * job.memory_mb
    return max(RECORDINGS_MB, PROCESS_MB + held + mapped / MB)


def pack_mb(study: LoadedStudy, dataset: str) -> float:
    """Megabytes of the job that packs the data set `dataset`: its listing, and a shard."""
    run = next((run for run in study.runs.values() if run.kind == "trained" and run.dataset == dataset), None)
    try:
        images = size_of(run, study.store.cache()).images if run else 0
    except NeuroscalingError:  # of a data set that can't be counted
        return PACK_MB
    return max(PACK_MB, PROCESS_MB + SHARD_MB + LISTED_MB * images)
