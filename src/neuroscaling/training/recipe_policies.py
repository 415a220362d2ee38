"""Policies of automatic augmentation in timm's words, checked before a job starts. Light: imports no timm.

timm itself finds a misspelt policy with the first image, and passes over some of what it doesn't know.
"""

import re

from neuroscaling.errors import nearest

WHOLE, ANY = r"\d+", r"\d+(\.\d+)?"
# The options of each policy and the numbers that they take; `t` names a choice of RandAugment's changes.
OPTIONS = {
    "rand": {"m": WHOLE, "n": WHOLE, "p": ANY, "mstd": ANY, "mmax": WHOLE, "inc": WHOLE, "t": "weights|3aw|3a"},
    "augmix": {"m": WHOLE, "w": WHOLE, "d": WHOLE, "a": ANY, "b": WHOLE, "mstd": ANY},
    **{policy: {"mstd": ANY} for policy in ("3a", "v0", "v0r", "original", "originalr")},
}


def checked_policy(words: str | None) -> str | None:
    """`words` as they are. Raises ValueError for a policy or an option that timm doesn't have."""
    if words is None:
        return None
    policy, *options = words.split("-")
    if policy not in OPTIONS:
        raise ValueError(f"unknown policy `{policy}`, not one of {', '.join(OPTIONS)}{_near(policy, OPTIONS)}")
    allowed = OPTIONS[policy]
    for option in options:
        if not any(re.fullmatch(f"{name}({value})", option) for name, value in allowed.items()):
            name = re.split(r"\d", option)[0]
            raise ValueError(
                f"unknown option `{option}` of the policy `{policy}`, which has {', '.join(allowed)}, "
                f"each with its number{_near(name, allowed)}"
            )
    return words


def _near(word: str, allowed: dict) -> str:
    near = nearest(word, allowed)
    return f"; the nearest is {near}" if near else ""
