"""Score runs on Brain-Score benchmarks: JOB LOG; a plain command for the brainscore environment's interpreter.

JOB: a file with a ScoringJob (neuroscaling/brainscore/job_files.py).
"""

import sys

from neuroscaling.logs import script_logging

with script_logging(sys.argv[2]):
    from neuroscaling.brainscore.job import score_all
    from neuroscaling.brainscore.job_files import ScoringJob, read_job

    score_all(read_job(sys.argv[1], ScoringJob))
