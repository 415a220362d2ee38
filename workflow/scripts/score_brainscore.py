"""Score runs on Brain-Score benchmarks: JOB LOG; a plain command for the brainscore environment's interpreter.

JOB: a file with a RunsJob (neuroscaling/brainscore/job_files.py).
"""

import sys

from neuroscaling.core.logs import script_logging

with script_logging(sys.argv[2]):
    from neuroscaling.brainscore.job_files import RunsJob, read_job
    from neuroscaling.brainscore.runs_job import do_job

    do_job(read_job(sys.argv[1], RunsJob))
