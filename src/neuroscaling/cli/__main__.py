"""The command `neuroscaling` from its first line on, also as `python -m neuroscaling.cli`.

What a command needs takes half a second to import. Ctrl-C ends it in that time too, without a traceback.
"""

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Run one command. Returns its exit status: 130 after Ctrl-C, at any time."""
    # A process that ignores Ctrl-C, as one in the background of a script, goes on ignoring it.
    heeds = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeds:
        signal.signal(signal.SIGINT, _leave)
    from neuroscaling.cli.main import main as command

    try:
        if heeds:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return command()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: an exception would go through half of an import, which may make another of it."""
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
