"""The options of an extraction have defaults, and are checked before it begins."""

from dataclasses import dataclass
from typing import Any

from neuroscaling.core.errors import DataError, Problem, nearest

DEFAULTS: dict[str, Any] = {
    "keep": "features",
    "dtype": "float32",
    "autocast": "none",
    "tokens": "all",
    "candidates": "default",
    "normalise": True,
    "crop": True,
    "codec": "zstd",
    "batch": 64,
    "workers": 0,
    "scratch_gb": 50.0,
}
ALLOWED = {
    "keep": ("features", "gram", "both"),
    "dtype": ("float32", "float16"),
    "autocast": ("none", "bf16", "fp16"),
    "tokens": ("all", "class", "patch", "mean"),
    "candidates": ("default", "block", "conv", "norm", "relu", "all", "family"),
    "normalise": (True, False),
    "crop": (True, False),
    "codec": ("zstd", "none"),
}
# What changes the values; the rest only changes how they come about.
DETERMINING = ("keep", "dtype", "autocast", "tokens", "candidates")
# These do too, but a manifest names them only where they are not as by default: stores of before still count.
SWITCHES = ("normalise", "crop")

# What each kind of reduction needs, and the smallest value of it.
KINDS: dict[str, dict[str, int]] = {
    "none": {},
    "grid": {"size": 1},
    "max": {"size": 1},
    "projection": {"components": 1, "seed": 0},
}
LARGEST_GRID = 16


@dataclass(frozen=True)
class Request:
    """What is asked for: `layers` (names, the study's section, or nothing), `reduction` and `options`, complete."""

    layers: Any
    reduction: dict[str, Any]
    options: dict[str, Any]

    @classmethod
    def of(cls, layers: Any, reduction: dict[str, Any] | None, options: dict[str, Any] | None) -> "Request":
        """With all defaults. Raises DataError for unknown names and bad values."""
        return cls(layers or None, checked(reduction or {"kind": "none"}), complete(options))

    def facts(self) -> dict[str, Any]:
        """What of it determines the values, for the manifest."""
        determining = {key: self.options[key] for key in DETERMINING}
        determining |= {key: self.options[key] for key in SWITCHES if self.options[key] != DEFAULTS[key]}
        return {"reduction": self.reduction, "layers_asked": self.layers, "options": determining}


def complete(options: dict[str, Any] | None) -> dict[str, Any]:
    """`options` with the defaults of those that are missing. Raises DataError for unknown names and bad values."""
    options = {**DEFAULTS, **(options or {})}
    problems = [
        Problem(
            what="no such option of extraction",
            where=key,
            value=options[key],
            allowed=", ".join(DEFAULTS),
            nearest=nearest(key, DEFAULTS),
        )
        for key in options
        if key not in DEFAULTS
    ]
    for key, allowed in ALLOWED.items():
        if options[key] not in allowed:
            what, near = "not allowed", nearest(options[key], allowed)
            listed = ", ".join(map(str, allowed))
            problems.append(
                Problem(what=what, where=f"extraction: {key}", value=options[key], allowed=listed, nearest=near)
            )
    least = {"batch": 1, "workers": 0, "scratch_gb": 0}
    problems += [
        Problem(what="too small", where=f"extraction: {key}", value=options[key], allowed=f"{least[key]} or more")
        for key in least
        if options[key] < least[key]
    ]
    if problems:
        raise DataError(problems)
    return options


def checked(reduction: dict[str, Any]) -> dict[str, Any]:
    """The reduction with what its kind uses and nothing else. Raises DataError for another kind or a bad value.

    A grid has one `size`, or several `sizes`, which come back in ascending order.
    """
    kind = reduction.get("kind")
    if kind in ("grid", "max") and reduction.get("sizes") is not None:
        return {"kind": kind, "sizes": _checked_sizes(reduction["sizes"])}
    needs = KINDS.get(kind) if isinstance(kind, str) else None
    values = {key: reduction.get(key) for key in needs or ()}
    if needs is None or any(not isinstance(value, int) or value < needs[key] for key, value in values.items()):
        allowed = (
            '{"kind": "none"}, {"kind": "grid" (means) or "max", "size": cells along each side}, '
            '{"kind": "grid" or "max", "sizes": [1, 2, 4]}, '
            'or {"kind": "projection", "components": k, "seed": s}'
        )
        raise DataError(Problem(what="no such reduction", where="reduction", value=reduction, allowed=allowed))
    return {"kind": kind, **values}


def _checked_sizes(sizes: Any) -> list[int]:
    listed = list(sizes) if isinstance(sizes, list | tuple) else []
    sound = all(type(size) is int and 1 <= size <= LARGEST_GRID for size in listed)
    if not listed or not sound or len(set(listed)) < len(listed):
        allowed = f"a list of different whole numbers from 1 to {LARGEST_GRID}, e.g. [1, 2, 4]"
        raise DataError(Problem(what="no such grids", where="reduction: sizes", value=sizes, allowed=allowed))
    return sorted(listed)
