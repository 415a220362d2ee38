"""Freed memory stays with a job's process: the next step takes it without asking the system page by page."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
SCRIPT = """
import resource, numpy
{begin}
def step():
    return [numpy.ones(size << 17) for size in (8, 8, 8, 160)]  # of 8 and of 160 MB
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
SET = "from neuroscaling.core.machine import keep_freed_memory\nassert keep_freed_memory()"
JOB = "from neuroscaling.core.logs import script_logging\nscript_logging(None).__enter__()"


@pytest.mark.parametrize("begin", [SET, JOB], ids=["by itself", "in a script of the pipeline"])
def test_a_step_takes_the_memory_of_the_step_before(begin):
    assert page_faults(begin) < 0.1 * page_faults("")


def page_faults(begin: str) -> int:
    """Page faults of four steps of a process that begins with this code."""
    script = SCRIPT.format(begin=begin)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(done.stdout)
