"""A job of training by several processes, all of which wait after a step for the signal that ends them.

python -m tests.support.waiting_group JOBS, with the step in WAIT_AFTER_STEP: torchrun starts the same for each process.
"""

import os
import time

from neuroscaling.training import launch
from neuroscaling.training.checkpoints import Checkpoints
from neuroscaling.training.job import main

STEP = "WAIT_AFTER_STEP"
after_step = Checkpoints.after_step


def after_step_and_wait(checkpoints: Checkpoints) -> None:
    """However fast it trains, no process goes further without being told to stop."""
    after_step(checkpoints)
    while checkpoints.stop is None and checkpoints.training.progress.step >= int(os.environ[STEP]):
        time.sleep(0.01)


if __name__ == "__main__":
    Checkpoints.after_step = after_step_and_wait  # type: ignore[method-assign]
    launch.WORKER = "tests.support.waiting_group"
    main()
