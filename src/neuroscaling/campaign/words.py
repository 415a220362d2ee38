"""How a campaign is told to people: times, progress, where something runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from neuroscaling.campaign.watch import Failed, Running
from neuroscaling.core.progress import Progress, in_time, in_words

PERCENT = 100


def local_moment(moment: str) -> str:
    """A moment of a record, in this machine's time: `29 Nov 17:05`."""
    when = datetime.fromisoformat(moment.replace(" ", "T"))
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone().strftime("%-d %b %H:%M")


def moment_after(seconds: float, now: datetime) -> str:
    """The local time so many seconds from `now`."""
    return (now + timedelta(seconds=seconds)).astimezone().strftime("%-d %b %H:%M")


def share_done(progress: Progress | None) -> float | None:
    """The share of the work that is done, 0 to 1."""
    if progress is None or not progress.total:
        return None
    return min((progress.done + progress.part_share) / progress.total, 1.0)


def progress_in_words(progress: Progress | None) -> str:
    """`epoch 3 of 10, step 30 of 100, loss 2.345, accuracy 0.41, 850 images/s (30 %)`, without the time left."""
    if progress is None:
        return ""
    share, words = share_done(progress), in_words(replace(progress, seconds_left=None))
    return words if share is None else f"{words} ({PERCENT * share:.0f} %)"


def left_in_words(running: Running) -> str:
    """`2 h 5 min left`, by the speed of this try; empty where nobody knows."""
    left = running.progress.seconds_left if running.progress else None
    return f"{in_time(left)} left" if left is not None else ""


def sign_of_life(running: Running) -> str:
    """What is to be said where something is strange: a further try, and silence."""
    again = running.progress.attempt if running.progress else 1
    return ", ".join([f"try {again}"] * (again > 1) + ["no sign of life for a while"] * running.silent)


def running_in_words(one: Running) -> str:
    """One line on what is being made."""
    parts = [progress_in_words(one.progress), left_in_words(one), f"on {one.where}", f"since {local_moment(one.since)}"]
    return f"{one.stage} {one.name}: {'; '.join(filter(None, [*parts, sign_of_life(one)]))}"


def failed_in_words(one: Failed) -> str:
    """One line on what failed and why."""
    tries = f" ({one.tries} tries)" if one.tries > 1 else ""
    return f"{one.stage} {one.name}: {one.reason}{tries}"
