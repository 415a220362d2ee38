"""Made-up fits: the parts that a test gives are completed to the content of a fit's file."""

from neuroscaling.laws.finished_law import FORMAT, fit_record
from neuroscaling.laws.forms import FORMS

BAND = {"fit": [], "p2.5": [], "p50": [], "p97.5": []}
BEST_SIZES = {"compute": [], "n_params": BAND, "n_samples_seen": BAND, "score": BAND}


def completed(content):
    """`content` with every field that a fit of its form has: no number is made up but the count of points."""
    form = FORMS[content.get("form", "power_law")]
    points = content.get("points", {"x": [], "y": []})
    if points is not None and "x" not in points and "n_params" in points:
        points = points | {"x": list(zip(points["n_params"], points["n_samples_seen"], strict=True))}
    common = {
        "format": FORMAT, "name": "made-up", "fit": "made-up", "mode": "corrected", "form": form.name,
        "x": "total_flops", "y": "score",
    }  # fmt: skip
    if content["status"] != "fitted":
        return common | content
    allocation = content.get("allocation")
    if allocation:
        allocation = {"exponents": {}, "curve": BEST_SIZES, "cost": {"exponent": 1.0, "factor": 6.0}} | allocation
    return {
        **common, "expression": form.expression, "x_scale": 1.0, "n": len(points["y"]) if points else 0,
        "loss_name": form.loss, "ci95": {}, "parameters": {p.name: p.meaning for p in form.parameters},
        "identified": {}, "saturation": None, "saturation_ci95": None, "saturation_statement": None, "notes": [],
        "curve": None, "beyond": None, "aicc": None, "holdout": None, "compared": [], "invert_y": True,
        "bootstraps": {"n": 200, "of": "points", "seed": 42},
    } | content | {"allocation": allocation, "points": points}  # fmt: skip


def finished(content, bootstraps=None):
    """The record of a made-up fit, from the parts of its content that a test gives, and its resamples."""
    return fit_record(completed(content), bootstraps)
