"""The log file of a script holds its messages, its warnings, and the traceback of what went wrong.

Beside it each try of the script is recorded (core/tries.py).
"""

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from neuroscaling.core.errors import DataError, NeuroscalingError, Problem
from neuroscaling.core.hangs import ended_if_hung
from neuroscaling.core.installation import extras_told
from neuroscaling.core.machine import has_gpu, keep_freed_memory
from neuroscaling.core.provenance import UNLIKE
from neuroscaling.core.tries import begin_try, end_try

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FOLLOWS = "Its log is "
"""What a log ends with whose script goes on with another kind of work: what follows is the path of that work's log."""


@contextmanager
def script_logging(
    path: str | None, runs: Sequence[str] = (), gpus: int = 0, cpus: int = 1
) -> Iterator[logging.Logger]:
    """Send log messages to `path` and to standard error for the length of the block, which is all that a script does.

    It begins every job, so it also has the job's process keep the memory that it frees (`keep_freed_memory`), and
    records the try beside the log. runs: that it is to make; gpus, cpus: that it asked for. On a machine without a GPU
    it has none, whatever it asked for.
    An exception is written to the log; a NeuroscalingError also goes to standard error as its message alone,
    and the script ends with exit status 1. A missing package that an extra brings is such an error. Where the script's
    work hangs, it is ended (core/hangs.py).
    """
    path = path and os.path.abspath(path)  # the end is recorded wherever the script has gone
    begun = begin_try(path, runs, gpus if has_gpu() else 0, cpus) if path else None
    raised: BaseException | None = None

    def end(error: BaseException) -> None:
        if path and begun:
            end_try(path, begun, error)

    try:
        with _logging_to(path) as logger, ended_if_hung(end):
            yield logger
    except BaseException as error:
        raised = error
        raise
    finally:
        if path and begun:
            end_try(path, begun, raised)


@contextmanager
def _logging_to(path: str | None) -> Iterator[logging.Logger]:
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
    if unlike := os.environ.get(UNLIKE):
        logger.warning(unlike)
    try:
        with extras_told():
            yield logger
    except NeuroscalingError as error:
        logger.error("%s", error)
        raise SystemExit(1) from error
    except Exception:
        logger.error("%s", traceback.format_exc())
        raise


@dataclass
class Pieces:
    """Pieces of a job that don't depend on each other: what goes wrong in one keeps no other from being done.

    alone: there is one piece, whose error is raised as it is.
    """

    alone: bool = False
    problems: list[Problem] = field(default_factory=list)

    @contextmanager
    def piece(self, name: str, raised: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """Do a piece of the work. Its error is logged and kept, and the block ends.

        name: where it went wrong; raised: errors that end the job at once.
        """
        logger, at_once = logging.getLogger("neuroscaling"), (Exception,) if self.alone else raised
        try:
            yield
        except at_once:
            raise
        except NeuroscalingError as error:
            logger.error("%s: %s", name, error)
            for problem in error.problems:
                where = f"{name}: {problem.where}" if problem.where else name
                self.problems.append(replace(problem, where=where))
        except Exception as error:
            logger.exception("%s", name)
            self.problems.append(Problem(what=f"{type(error).__name__}: {error}", where=name))

    def end(self) -> None:
        """Raise one DataError of all that went wrong."""
        if self.problems:
            raise DataError(self.problems)
