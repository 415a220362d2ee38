"""The log file of a script holds its messages, its warnings, and the traceback of what went wrong."""

import logging
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.core.installation import extras_told
from neuroscaling.core.machine import keep_freed_memory

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def script_logging(path: str | None) -> Iterator[logging.Logger]:
    """Send log messages to `path` and to standard error for the length of the block, which is all that a script does.

    It begins every job, so it also has the job's process keep the memory that it frees (`keep_freed_memory`).
    An exception is written to the log; a NeuroscalingError also goes to standard error as its message alone,
    and the script ends with exit status 1. A missing package that an extra brings is such an error.
    """
    keep_freed_memory()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if path:
        handlers.append(logging.FileHandler(path, mode="w", encoding="utf-8"))
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, handlers=handlers, force=True)
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    # Writing PDFs makes it list every glyph.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    logger = logging.getLogger("neuroscaling")
    try:
        with extras_told():
            yield logger
    except NeuroscalingError as error:
        logger.error("%s", error)
        raise SystemExit(1) from error
    except Exception:
        logger.error("%s", traceback.format_exc())
        raise
