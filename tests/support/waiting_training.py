"""A job of training of which one run waits at a step for the signal that ends it: however fast, it does not end before.

python waiting_training.py JOBS RUN STEP
"""

import sys
import time

from neuroscaling.training.checkpoints import Checkpoints
from neuroscaling.training.job import main


def wait_at(step: int, run: str | None = None) -> None:
    """Let trainings, or those of `run` alone, go no further than to `step`, unless they are told to stop."""
    after_step = Checkpoints.after_step

    def after_step_and_wait(checkpoints: Checkpoints) -> None:
        after_step(checkpoints)
        training = checkpoints.training
        while checkpoints.stop is None and run in (None, training.run) and training.progress.step >= step:
            time.sleep(0.01)

    Checkpoints.after_step = after_step_and_wait  # type: ignore[method-assign]


if __name__ == "__main__":
    wait_at(int(sys.argv[3]), sys.argv[2])
    main()
