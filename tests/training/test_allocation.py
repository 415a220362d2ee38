"""Freed memory stays with a process that trains: the next step takes it without asking the system page by page."""

import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, torch
from neuroscaling.training.torch_runtime import keep_freed_memory
assert keep_freed_memory()
def step():
    return [torch.ones(2 << 20) for _ in range(20)]  # 160 MB
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_a_step_takes_the_memory_of_the_step_before():
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=one_thread)
    assert int(done.stdout) < 1000  # pages; without the setting 400,000
