"""Shares as per cent, for sentences."""


def percent(share: float) -> str:
    """A share in 0..1 as whole per cent; 0 % and 100 % are only said of none and of all.

    What would be rounded to them has one digit after the point: 99.8 %, or 'more than 99.9 %'.
    """
    whole = f"{100 * share:.0f}"
    if share in (0, 1) or whole not in ("0", "100"):
        return f"{whole} %"
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    if 0.9995 <= share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.1f} %"
