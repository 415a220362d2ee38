"""A job of training by several processes, all of which wait after a step for the signal that ends them.

python -m tests.support.waiting_group JOBS, with the step in WAIT_AFTER_STEP: torchrun starts the same for each process.
"""

import os

from neuroscaling.training import launch
from neuroscaling.training.job import main
from tests.support.waiting_training import wait_at

STEP = "WAIT_AFTER_STEP"

if __name__ == "__main__":
    wait_at(int(os.environ[STEP]))
    launch.WORKER = "tests.support.waiting_group"
    main()
