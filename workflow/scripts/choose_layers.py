"""Choose the layers that stand for regions: JOB LOG; a plain command for the brainscore environment's interpreter.

JOB: a file with a ChoiceJob (neuroscaling/brainscore/job_files.py).
"""

import sys

from neuroscaling.logs import script_logging

with script_logging(sys.argv[2]):
    from neuroscaling.brainscore.choose_job import choose_all
    from neuroscaling.brainscore.job_files import ChoiceJob, read_job

    choose_all(read_job(sys.argv[1], ChoiceJob))
