# In a job on a cluster: what the functions of its rule answered when the driver started, looked up by rule and wildcards.
import functools
import os

from snakemake.exceptions import WorkflowError

from neuroscaling.core import provenance
from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.study import start_records

config.update(START.of_config())
# The log of the job begins with it.
os.environ[provenance.UNLIKE] = provenance.differences(START.versions)


@functools.cache
def job_of(rule, wildcards):
    """The record of a job; wildcards: pairs of name and value."""
    try:
        return start_records.read_job(START, rule, dict(wildcards))
    except NeuroscalingError as error:
        raise WorkflowError(str(error))


def record_of(rule, wildcards):
    """The record of a job of this process."""
    return job_of(rule, tuple(sorted(wildcards.items())))


def input_of(rule, name):
    """The input files of that name, "" for those without one."""
    return lambda wildcards: record_of(rule, wildcards).input[name]


def param_of(rule, name):
    """A param."""
    return lambda wildcards: record_of(rule, wildcards).param(name)


def threads_of(rule):
    """The threads."""
    return lambda wildcards: record_of(rule, wildcards).threads


def resource_of(rule, name):
    """A resource, which may grow with each attempt."""
    return lambda wildcards, attempt: record_of(rule, wildcards).resource(name, attempt)
