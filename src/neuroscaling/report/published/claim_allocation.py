"""Claim: more of the compute belongs to data than to parameters."""

from __future__ import annotations

import numpy as np

from neuroscaling.report.published.claim_numbers import Content, Estimate, Study, estimate, name_in
from neuroscaling.report.published.claim_verdict import MODES, NO, PARTLY, YES, Claim, Finding

HALF = 0.5
REGIONS = ("V1", "V2", "V4", "IT", "Behavioral")
RULE = (
    "Share of data: alpha / (alpha + beta) of the two-variable law, the part of a growth of log compute that goes to "
    "the number of images seen; the rest goes to parameters. Supported: in both modes, and in every region fitted by "
    "itself, the whole 95 % interval lies above one half. Not supported: nowhere does it. In part: all else, or the "
    "data do not identify both exponents."
)
FORM = (
    "One two-variable form was fitted, in which parameters and images add up: no other form was compared, so the "
    "shares hold under this form only. Parity repeats the published inversion of a factor, which moves the "
    "recommended model and data sizes but not the shares."
)
LIMITS = (
    "The cost of a model is not 6 N D across these families: a regression over all of them stands in for it. Epochs "
    "and batch sizes were fixed a family, so images seen and images available are not told apart."
)


def claim(study: Study) -> Claim:
    """The claim with what the average's and each region's law say of it."""
    cases = [(name_in("compute_chinchilla", mode), "Mean of the five benchmarks", mode) for mode in MODES]
    cases += [(f"allocation.{region}", region, "corrected") for region in REGIONS]
    findings = [found for case in cases if (found := _finding(study, *case)) is not None]
    text = "Growing compute is better spent on more data than on more parameters."
    return Claim(text, RULE, findings, FORM if findings else None, False, LIMITS)


def data_share(study: Study, name: str) -> Estimate | None:
    """alpha / (alpha + beta) with its interval; resamples without two positive exponents have no optimum."""
    fit, table = study.fitted(name), study.bootstraps.get(name)
    if fit is None or table is None or not len(table):
        return None
    first = [[fit["params"][key] for key in ("alpha", "beta")]]
    exponents = np.concatenate([np.array(first, dtype=np.float64), table[["alpha", "beta"]].to_numpy(dtype=np.float64)])
    alpha, beta = np.where((exponents > 0).all(axis=1, keepdims=True), exponents, np.nan).T
    return estimate(alpha / (alpha + beta))


def _finding(study: Study, name: str, what: str, mode: str) -> Finding | None:
    share = data_share(study, name)
    if share is None:
        return None
    fit = study.fits[name]
    doubts = _doubts(fit)
    text = f"{what}: share of data {share}.{_exponents(fit)}"
    text += f" The data do not identify {' and '.join(doubts)}." if doubts else ""
    support = NO if not share.above(HALF) else PARTLY if doubts else YES
    return Finding(mode, text, support)


def _doubts(fit: Content) -> list[str]:
    """Exponents that the data do not identify."""
    flags = fit.get("identified") or {}
    return [key for key in ("alpha", "beta") if not flags.get(key, {"identified": True})["identified"]]


def _exponents(fit: Content) -> str:
    """How the best N and D grow with compute, where the fit has an allocation."""
    found = (fit.get("allocation") or {}).get("exponents")
    if not found:
        return ""
    named = {"n_samples_seen": "images seen", "n_params": "parameters"}
    return " " + "; ".join(f"best {words} ~ C^{_with_interval(found[key])}" for key, words in named.items()) + "."


def _with_interval(found: Content) -> str:
    low, high = found["ci95"] if found.get("ci95") else (None, None)
    return f"{found['value']:.2f}" + (f" ({low:.2f} to {high:.2f})" if None not in (low, high) else "")
