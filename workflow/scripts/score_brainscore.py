"""Score runs on Brain-Score benchmarks: JOB LOG; a plain command for the brainscore environment's interpreter.

JOB: a file with a ScoringJob (neuroscaling/brainscore/job_files.py).
"""

import sys

from neuroscaling.core.logs import script_logging

with script_logging(sys.argv[2]):
    from neuroscaling.brainscore.job_files import ScoringJob, read_job
    from neuroscaling.brainscore.scoring_job import score_runs

    score_runs(read_job(sys.argv[1], ScoringJob))
