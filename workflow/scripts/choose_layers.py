"""Choose the layers that stand for regions: JOB LOG; a plain command for the brainscore environment's interpreter.

JOB: a file with a ChoiceJob (neuroscaling/brainscore/job_files.py).
"""

import sys

from neuroscaling.core.logs import script_logging

with script_logging(sys.argv[2]):
    from neuroscaling.brainscore.commitment import choose_layers
    from neuroscaling.brainscore.job_files import ChoiceJob, read_job

    choose_layers(read_job(sys.argv[1], ChoiceJob))
