"""`neuroscaling retry` has what failed made again, and nothing else that is there."""

import argparse
import fnmatch
from collections.abc import Iterator, Sequence

from neuroscaling.campaign.watch import Failed, Watch
from neuroscaling.campaign.words import failed_in_words
from neuroscaling.cli.output import tell
from neuroscaling.cli.run import add_run_options, run_study
from neuroscaling.core.errors import Problem, StudyError, nearest, number_of
from neuroscaling.core.leases import Held, held
from neuroscaling.core.records import FAILURE_RECORD, RUN_RECORD, read_run
from neuroscaling.study.loaded_study import LoadedStudy, load_study
from neuroscaling.study.session import is_locked

MOST = 40


def add_retry_options(parser: argparse.ArgumentParser) -> None:
    """The options of `retry`, behind the study; those of `run` hold for the start."""
    text = "runs that failed, by name or pattern (`vit*`); without it everything that failed"
    parser.add_argument("runs", nargs="*", metavar="RUN", help=text)
    add_run_options(parser)


def retry_study(options: argparse.Namespace) -> int:
    """Make the runs that were given up wanted again, and start the study as `run` does. Returns its exit status.

    A job that failed without a record is left anyway, and the start makes it. With `-n` nothing changes. Raises
    StudyError for a name that is none of a run that failed.
    """
    study = load_study(options.study, "planning=true" in options.config)
    failed = _chosen([one for stage in Watch(study).stages for one in stage.failed], options.runs, study)
    if not failed:
        tell(["Nothing failed."])
        return 0
    title = "would be tried" if options.dry_run else "will be tried"
    tell([f"{number_of(len(failed), 'thing')} that failed {title} again:", *_listed(failed)])
    if options.dry_run:
        return 0
    tell([note for one in failed if one.lasting for note in _cleared(study, one.name)])
    if is_locked():
        tell(["A driver is at work in this folder. What failed is made by the next start: `neuroscaling run`."])
        return 0
    return run_study(options)


def _chosen(failed: Sequence[Failed], patterns: Sequence[str], study: LoadedStudy) -> list[Failed]:
    """What failed and has one of these names. Raises StudyError for a pattern that none of it has."""
    problems, names = [], [one.name for one in failed]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            what = "this run did not fail" if pattern in study.runs else "nothing that failed is called so"
            allowed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") if names else "nothing failed"
            problems.append(
                Problem(what=what, where="RUN", value=pattern, allowed=allowed, nearest=nearest(pattern, names))
            )
    if problems:
        raise StudyError(problems)
    return [one for one in failed if not patterns or any(fnmatch.fnmatch(one.name, pattern) for pattern in patterns)]


def _listed(failed: Sequence[Failed]) -> Iterator[str]:
    yield from (f"  {failed_in_words(one)}" for one in failed[:MOST])
    if len(failed) > MOST:
        yield f"  ... and {len(failed) - MOST} more"


def _cleared(study: LoadedStudy, run: str) -> Iterator[str]:
    """Make a run wanted again that was given up: its run.json becomes failed.json. Gives what keeps it from that.

    Raises DataError where the store can't be written to, and for a record that was altered.
    """
    path = study.store.run(run) / RUN_RECORD
    found = study.store.find(path)
    if found != path:
        yield f"  {run}: lies in {found.parent}, which this study does not write to; its owner can retry it"
        return
    try:
        with held(path.parent, f"run {run}", wait=False):
            if path.is_file() and read_run(path).failure is not None:
                path.rename(path.with_name(FAILURE_RECORD))
    except Held as error:
        yield f"  {run}: left as it is, {error.problems[0].value} makes it"
