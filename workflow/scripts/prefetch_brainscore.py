"""Download Brain-Score's files of benchmarks: JOB LOG; a plain command for the brainscore environment's interpreter.

JOB: a file with a PrefetchJob (neuroscaling/brainscore/job_files.py).
"""

import sys
import tempfile
from pathlib import Path

from neuroscaling.core.logs import script_logging

with script_logging(sys.argv[2]):
    from neuroscaling.brainscore import environment
    from neuroscaling.brainscore.job_files import PrefetchJob, read_job
    from neuroscaling.brainscore.prefetch import prefetch

    job = read_job(sys.argv[1], PrefetchJob)
    with tempfile.TemporaryDirectory(prefix="neuroscaling-prefetch-") as scratch:
        environment.prepare_environment(Path(scratch))
        prefetch(job.benchmarks, job.root, job.manifest, job.definition)
