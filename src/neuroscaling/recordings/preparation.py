"""Each source's files are converted to prepared recordings by its own reader."""

from pathlib import Path

from neuroscaling.recordings.arrays_preparation import prepare_arrays_subject
from neuroscaling.recordings.function_preparation import prepare_function_subject
from neuroscaling.recordings.nsd_preparation import prepare_nsd_subject
from neuroscaling.recordings.things_fmri_recording import prepare_things_fmri_subject
from neuroscaling.recordings.tvsd_recording import prepare_tvsd_subject
from neuroscaling.study.preparation_jobs import ArraysJob, FunctionJob, NsdJob, PreparationJob, ThingsFmriJob, TvsdJob


def prepare_recording(job: PreparationJob) -> Path:
    """Make the prepared folder of a job where it is not there yet; returns its manifest.

    Raises DataError with everything that is wrong with the files.
    """
    match job:
        case NsdJob():
            return prepare_nsd_subject(job)
        case ArraysJob():
            return prepare_arrays_subject(job)
        case FunctionJob():
            return prepare_function_subject(job)
        case TvsdJob():
            return prepare_tvsd_subject(job)
        case ThingsFmriJob():
            return prepare_things_fmri_subject(job)
