"""`neuroscaling status` tells what a campaign does: by stage, what runs, waits and failed, and when it will be done."""

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neuroscaling.campaign.look import Look, look
from neuroscaling.campaign.page import write_page
from neuroscaling.campaign.words import failed_in_words, moment_after, running_in_words
from neuroscaling.cli.output import FOR_PEOPLE, rounded, show, tell
from neuroscaling.cli.status_changes import why_rows
from neuroscaling.core.errors import Problem, StudyError, nearest
from neuroscaling.core.progress import in_time
from neuroscaling.study.loaded_study import load_study

MOST = 20
"""Lines of each list that are shown; `--format json` has all."""
EVERY = 30.0
LEAST = 1.0
HOURS = ("gpu_hours", "cpu_hours", "planned_hours", "hours_left", "forecast_hours", "hours", "ratio")
ALWAYS = ("stage", "wanted", "done", "running", "failed", "left")
"""Columns that are shown where they are zero in every row."""


def add_status_options(parser: argparse.ArgumentParser) -> None:
    """The options of `status`, behind the study."""
    text = "look again every SECONDS (30), until the study is done or Ctrl-C is pressed"
    parser.add_argument("--watch", nargs="?", type=float, const=EVERY, metavar="SECONDS", help=text)
    text = "write a page of the same, which refreshes itself while `--watch` writes it anew"
    parser.add_argument("--html", type=Path, metavar="FILE", help=text)
    parser.add_argument("--stage", metavar="STAGE", help="this stage alone, such as train, activations or scores")
    parser.add_argument("--failed", action="store_true", help="what failed alone: stage, name, reason, tries, log")
    text = "what changed since the study last ended: settings, formulas, versions; what is absent because of it"
    parser.add_argument("--why", action="store_true", help=text)


def print_status(options: argparse.Namespace) -> int:
    """Tell where a study stands. Returns 0 where it is done, 1 where something failed, 3 where something is left.

    Raises StudyError for a study that can't be read and for options that contradict each other.
    """
    _refuse_contradictions(options)
    study = load_study(options.study)
    if options.why:
        show(why_rows(study), options.format)
        tell(study.left_out_notes())
        return 0
    while True:
        seen = look(study)
        _require_stage(seen, options.stage)
        if options.html:
            write_page(options.html, seen, options.watch)
        if options.watch is not None and sys.stdout.isatty():
            print("\033[H\033[2J", end="")
        _show(seen, options)
        if options.watch is None or not (seen.running or seen.held or any(stage.n_left for stage in seen.stages)):
            return seen.exit_status
        sys.stdout.flush()
        time.sleep(options.watch)


def _refuse_contradictions(options: argparse.Namespace) -> None:
    problems = []
    if options.watch is not None and not options.watch >= LEAST:
        problems.append(
            Problem(what="looks too often", where="--watch", value=options.watch, allowed="1 or more seconds")
        )
    given = {"--watch": options.watch is not None, "--html": options.html, "--stage": options.stage}
    given["--failed"] = options.failed
    if options.why:
        problems += [
            Problem(what="says nothing with --why", where=name, fix="leave one of them out")
            for name, value in given.items()
            if value
        ]
    if problems:
        raise StudyError(problems)


def _require_stage(seen: Look, stage: str | None) -> None:
    known = [one.name for one in seen.stages]
    if stage is not None and stage not in known:
        problem = Problem(what="the study has no such stage", where="--stage", value=stage, allowed=", ".join(known),
                          nearest=nearest(stage, known))  # fmt: skip
        raise StudyError(problem)


def _show(seen: Look, options: argparse.Namespace) -> None:
    rows = [row for row in seen.rows() if options.stage in (None, row["stage"])]
    failed = [asdict(one) for one in seen.failed if options.stage in (None, one.stage)]
    if options.failed:
        show([{key: row[key] for key in ("stage", "name", "reason", "tries", "log")} for row in failed], options.format)
    elif options.format == "json":
        print(json.dumps(_content(seen, rows, failed, options.stage), indent=1))
    elif options.format in FOR_PEOPLE:
        show(_readable(rows), options.format)
        for line in _lines(seen, options.stage):
            print(line)
    else:
        show(rows, options.format)
    tell(seen.notes)


def _content(seen: Look, rows: list[dict[str, Any]], failed: list[dict[str, Any]], stage: str | None) -> dict[str, Any]:
    """Everything that was seen, for `--format json`."""
    lists: dict[str, Sequence[Any]] = {"running": seen.running, "held": seen.held, "waiting": seen.waiting}
    told = {name: [asdict(one) for one in found if stage in (None, one.stage)] for name, found in lists.items()}
    left = seen.seconds_left
    return {
        "study": seen.study,
        "moment": seen.moment.isoformat(timespec="seconds"),
        "stages": rows,
        **told,
        "failed": failed,
        "finished": seen.finished_rows(),
        "gpu_hours": seen.gpu_hours,
        "cpu_hours": seen.cpu_hours,
        "planned_hours": seen.planned_hours,
        "planned_unit": seen.planned_unit,
        "hours_left": None if left is None else left / 3600,
    }


def _readable(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows for people: hours in three digits, a time in words, and no column that is empty or zero throughout."""
    told = [{key: _told(key, value, row) for key, value in row.items()} for row in rows]
    kept = [key for key in (rows[0] if rows else ()) if key in ALWAYS or any(row[key] for row in rows)]
    names = {"hours_left": "time_left"}
    return [{names.get(key, key): row[key] for key in kept} for row in told]


def _told(key: str, value: Any, row: dict[str, Any]) -> Any:
    """A cell for people: hours in three digits, a time in words where something is left."""
    if value is None or key not in HOURS:
        return value
    if key == "hours_left":
        return in_time(3600 * value) if row["left"] else None
    return f"{rounded(value):g}"


def _lines(seen: Look, stage: str | None) -> Iterator[str]:
    """The lists below the table: what runs, what others make, what waits and why, what failed; and the outlook."""
    yield from _listed("running", [running_in_words(one) for one in seen.running if stage in (None, one.stage)])
    others = [f"{running_in_words(one)}; by {one.user}" for one in seen.held if stage in (None, one.stage)]
    yield from _listed("made by others, and waited for", others)
    reasons: Counter[str] = Counter()
    for job in seen.waiting:
        if stage in (None, job.stage):
            reasons[f"{job.stage}: {job.why}"] += 1
    yield from _listed("waiting in Slurm's queue", [f"{n} of {why}" for why, n in reasons.most_common()])
    failed = [one for one in seen.failed if stage in (None, one.stage)]
    yield from _listed(
        "failed", [failed_in_words(one) + (f"\n    log: {one.log}" if one.log else "") for one in failed]
    )
    if any(not one.lasting for one in failed):
        yield "  `neuroscaling retry STUDY` tries what failed again."
    if rows := seen.finished_rows():
        yield "\nforecast against actual, of finished trainings"
        width = max(len(f"{row['objective']} {row['family']}") for row in rows)
        for row in rows:
            name = f"{row['objective']} {row['family']}".ljust(width)
            hours = f"{rounded(row['hours']):g} {row['unit']}"
            if row["ratio"] is not None:
                hours += f" of {rounded(row['forecast_hours']):g} forecast (x{rounded(row['ratio']):g})"
            yield f"  {name}  {row['finished']} done, {hours}"
    yield from outlook(seen)


def outlook(seen: Look) -> Iterator[str]:
    """Hours against plan, and when all will be done."""
    yield ""
    for unit, (hours, planned) in seen.hours().items():
        against = "" if planned is None else f"; {rounded(planned):g} planned for trainings"
        yield f"{unit}: {rounded(hours):g}, all tries counted{against}"
    if not any(stage.n_left for stage in seen.stages):
        yield "Nothing is left to be made." if seen.exit_status == 0 else "Nothing is left but what failed."
    elif (left := seen.seconds_left) is not None:
        both = list(zip(seen.stages, seen.paces, strict=True))
        unknown = [stage.name for stage, pace in both if stage.n_left and pace.left is None]
        known = ", ".join(stage.name for stage, pace in both if stage.n_left and pace.left is not None)
        what, rest = (f"{known}: done", f"; {', '.join(unknown)} have no rate yet") if unknown else ("Done", "")
        yield f"{what} in about {in_time(left)} ({moment_after(left, seen.moment)}), at the rate of the last day{rest}."
    else:
        yield "When it will be done can't be told: what is left has no rate yet."


def _listed(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"\n{title}"
        yield from (f"  {_cut(line)}" for line in lines[:MOST])
        if len(lines) > MOST:
            yield f"  ... and {len(lines) - MOST} more; --format json has all"


def _cut(line: str) -> str:
    """A line that fits a terminal's width, twice over; whole where no terminal shows it."""
    if not sys.stdout.isatty():
        return line
    width = 2 * shutil.get_terminal_size((120, 24)).columns
    first, *more = line.split("\n")
    return "\n".join([first if len(first) <= width else f"{first[: width - 1]}…", *more])
