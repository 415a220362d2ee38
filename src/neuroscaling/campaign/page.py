"""One page of a campaign, in one file that needs no network: opened from disk, it loads itself anew."""

from pathlib import Path
from typing import Any

from neuroscaling.campaign.look import Look
from neuroscaling.campaign.watch import Running, Stage
from neuroscaling.campaign.words import (
    PERCENT,
    left_in_words,
    local_moment,
    moment_after,
    progress_in_words,
    share_done,
    sign_of_life,
)
from neuroscaling.core.files import atomic_path
from neuroscaling.core.progress import in_time
from neuroscaling.report.sections import TEMPLATES as OF_REPORT
from neuroscaling.report.sections import render

TEMPLATES = Path(__file__).parent / "templates"
REFRESH = 30.0
MOST = 200
"""Rows of a list on the page."""
HOURS = {"GPU-hours": "gpu_hours", "CPU-hours": "cpu_hours"}


def write_page(path: Path, seen: Look, every: float | None = None) -> None:
    """Write the page, whole or not at all. every: seconds between two writings; None for a page that stays as it is.

    Raises DataError where the file can't be written.
    """
    styles = (OF_REPORT / "page.css", TEMPLATES / "campaign.css")
    text = render(
        "campaign.html",
        [TEMPLATES],
        css="\n".join(style.read_text(encoding="utf-8") for style in styles),
        title=seen.title,
        study=seen.study,
        moment=local_moment(seen.moment.isoformat()),
        refresh=None if every is None else max(round(every), 1),
        units=list(seen.hours()),
        stages=[_stage(stage, row, seen.planned_unit) for stage, row in zip(seen.stages, seen.rows(), strict=True)],
        facts=_facts(seen),
        running=[_running(one) for one in seen.running[:MOST]],
        held=[_running(one) for one in seen.held[:MOST]],
        waiting=seen.waiting[:MOST],
        failed=seen.failed[:MOST],
        retry=any(not one.lasting for one in seen.failed),
        more={name: max(len(getattr(seen, name)) - MOST, 0) for name in ("running", "held", "waiting", "failed")},
        finished=[{key: _number(value) for key, value in row.items()} for row in seen.finished_rows()],
        notes=seen.notes,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _facts(seen: Look) -> list[tuple[str, str]]:
    """What stands on top: done, running, failed, hours, when it will be done."""
    wanted, done = (sum(len(getattr(stage, key)) for stage in seen.stages) for key in ("wanted", "done"))
    failed, left = (sum(getattr(stage, key) for stage in seen.stages) for key in ("n_failed", "n_left"))
    until = seen.seconds_left
    both = zip(seen.stages, seen.paces, strict=True)
    about = "in at least" if any(stage.n_left and pace.left is None for stage, pace in both) else "in about"
    when = f"{about} {in_time(until)} ({moment_after(until, seen.moment)})" if until else "not to be told"
    return [
        ("done", f"{done:,} of {wanted:,}"),
        ("running", f"{len(seen.running):,}"),
        ("failed", f"{failed:,}"),
        *((unit, _against(*both) + " planned" * (both[1] is not None)) for unit, both in seen.hours().items()),
        ("all done", when if left else "now" if not failed else "but for what failed"),
    ]


def _against(hours: float, planned: float | None) -> str:
    """`3.2`, `3.2 of 80` or `0 of 80`; empty for none of none."""
    if planned is None:
        return _number(hours) if hours else ""
    return f"{_number(hours)} of {_number(planned)}"


def _stage(stage: Stage, row: dict[str, Any], planned_unit: str) -> dict[str, Any]:
    """A row of the table of stages; widths of its bar in percent."""
    wanted = max(len(stage.wanted), 1)
    busy = min(len(stage.running) + len(stage.held), stage.n_left)
    widths = {"done": len(stage.done), "busy": busy, "failed": stage.n_failed}
    left = row["hours_left"]
    return {
        **row,
        "widths": {name: round(PERCENT * number / wanted, 2) for name, number in widths.items()},
        "hours": {
            unit: _against(row[key], row["planned_hours"] if unit == planned_unit else None)
            for unit, key in HOURS.items()
        },
        "time_left": "" if left is None or not row["left"] else in_time(3600 * left),
    }


def _running(one: Running) -> dict[str, Any]:
    share = share_done(one.progress)
    return {
        "stage": one.stage,
        "name": one.name,
        "progress": progress_in_words(one.progress),
        "share": None if share is None else round(PERCENT * share, 1),
        "left": left_in_words(one),
        "where": one.where,
        "user": one.user,
        "since": local_moment(one.since),
        "remark": sign_of_life(one),
        "silent": one.silent,
    }


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
