"""A made-up encoding study in the files that the report reads: simulated subjects, accuracies of a known law."""

import functools

import numpy as np
import pandas as pd

from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.core.score_files import file_beside
from neuroscaling.core.score_table import build_table, write_table
from neuroscaling.encoding.group_accuracy import write_accuracy
from neuroscaling.laws.study_fit import write_fit
from neuroscaling.report.encoding_surfaces import fsaverage5
from neuroscaling.study.sections.fit_files import FitFile, expand_fits
from tests.support.run_records import write_run
from tests.support.score_records import reseal, score_path

SUBJECTS = ["subj01", "subj02", "subj03"]
SIZES = [10, 20, 50, 100, 200, 500, 1000]
# Region: (L of its law, relative depth, grid size, stretch of vertices in each hemisphere)
REGIONS = {"V1": (0.5, 0.2, 8, (0, 500)), "hV4": (0.4, 0.7, 1, (500, 1000))}
LAYERS = [f"blocks.{i}" for i in range(6)]
CANDIDATES = [f"{layer}@{k}" for layer in LAYERS for k in (1, 4, 8)]
EVA = {"base": 85_869_312, "large": 303_317_952, "enormous": 4_348_720_896}
N_VERTICES, DRAWS, K, NOISE = 1000, 10, 60.0, 0.004


def runs():
    """Three networks of one series, one of another family, and one architecture trained on three numbers of images."""
    found = [_run(f"eva02_{size}_patch14_clip_224.x", "eva", n, "pretrained", None) for size, n in EVA.items()]
    found.append(_run("convnext_base.x", "ConvNeXt", 88_000_000, "pretrained", None))
    return found + [_run("resnet_w8", "ResNet", 80_000, "trained", k) for k in (10, 100, 1000)]


def _run(arch, family, n_params, kind, samples):
    name = f"{arch}-{samples or 'p'}"
    nothing = {"status": "done", "checkpoints": [], **dict.fromkeys(("n_epochs", "n_samples_seen", "total_flops"))}
    nothing |= {"acc": None, "weights": None}
    facts = {"arch": arch, "family": family, "n_params": n_params, "kind": kind, "samples_per_class": samples}
    return {**nothing, **facts, "run": name, "seed": 0, "dataset": "made-up", "macs": 1e9, "n_samples": samples or 0}


def accuracy(run, region, subject, n_mapping):
    """r by a square-root law of mapping images, with a gain for larger networks and more training images."""
    gain = 0.03 * np.log10(run["n_params"] / 1e6) + 0.04 * np.log10((run["n_samples"] or 1e4) / 1e4)
    return (REGIONS[region][0] + gain + 0.04 * SUBJECTS.index(subject)) * np.sqrt(n_mapping / (n_mapping + K))


def write_study(folder, fits=None):
    """Write all files to `folder`: arguments of `encoding_figures` without `out`."""
    scores, run_files = [], []
    for run in runs():
        run_files.append(folder / "runs" / f"{run['run']}.json")
        write_run(run_files[-1], run)
        for subject in SUBJECTS:
            path = score_path(folder / "scores", f"algonauts2023-{subject}", run["run"])
            _write_subject(path, run, subject)
            scores.append(path)
    table = folder / "scores.parquet"
    write_table(table, build_table(scores, run_files))
    write_accuracy(scores, folder / "accuracy.parquet")
    jobs = [] if fits is None else expand_fits(FitFile(fits=fits))
    fit_files = [folder / "fits" / f"{job.name}.json" for job in jobs]
    for job, path in zip(jobs, fit_files, strict=True):
        write_fit(table, job.settings, path, path.with_suffix(".bootstraps.parquet"))
    return scores, table, fit_files, folder / "accuracy.parquet"


def fits(subjects=True):
    """Laws of mapping images of one network over all subjects and of each, and a law of parameters."""
    arch = "eva02_enormous_patch14_clip_224.x"
    mapping = {
        "name": "mapping", "forms": ["sqrt_saturating", "log_linear", "logistic"], "x": "n_mapping", "y": "raw",
        "filters": {"arch": arch}, "group_by": ["run", "subject", "n_mapping"], "by": {"region": [*REGIONS]},
        "cluster": ["subject"], "bootstraps": 20, "holdout": "largest_of_cluster",
    }  # fmt: skip
    single = {
        **mapping, "name": "mapping-subject", "by": {"region": [*REGIONS], "subject": SUBJECTS}, "cluster": [],
        "holdout": "largest", "bootstraps": 0,
    }  # fmt: skip
    params = {
        "name": "params", "form": "log_linear", "x": "n_params", "y": "raw", "group_by": ["run"],
        "filters": {"n_mapping": 1000}, "by": {"region": [*REGIONS]}, "bootstraps": 20, "holdout": "largest",
    }  # fmt: skip
    return [mapping, params] + [single] * subjects


def _write_subject(path, run, subject):
    rng = np.random.default_rng(_seed(run, subject))
    rows, accuracies = [], []
    for n in SIZES:
        values = {region: accuracy(run, region, subject, n) + NOISE * rng.normal() for region in REGIONS}
        values[ALL_VERTICES] = float(np.mean(list(values.values())))
        for region, r in values.items():
            rows.append(
                {"region": region, "subject": subject, "metric": "ridge", "n_mapping": n, "n_targets": 600, "raw": r,
                 "score": r * r / 0.5, "ceiling": 0.5, "error": 0.01, "scale": "r2/c", "reason": None,
                 "layer": "blocks.1@4"}
            )  # fmt: skip
            accuracies += _accuracies(region, n, r, rng)
    pd.DataFrame(accuracies).to_parquet(file_beside(path, "accuracy.parquet"))
    _vertices(subject, rng).to_parquet(file_beside(path, "targets.parquet"))
    reseal(
        path,
        {"run": run["run"], "data": "data", "simulated": True, "benchmark": "algonauts2023",
         "metric": "ridge", "engine": "neuroscaling", "protocol": "corrected", "rows": rows,
         "details": {"candidates": CANDIDATES}, "provenance": {}},
        {"benchmark": f"algonauts2023-{subject}"},
    )  # fmt: skip


def _seed(run, subject):
    return [run["n_params"] % 1000, run["n_samples"], SUBJECTS.index(subject)]


def _accuracies(region, n, r, rng):
    rows = []
    for hemisphere, shift in (("lh", -0.01), ("rh", 0.01), ("both", 0.0)):
        for draw in range(-1, DRAWS):
            value = r + shift + (0.02 * rng.normal() if draw >= 0 else 0.0)
            normalised = value * abs(value) / 0.5
            rows.append(
                {"metric": "ridge", "test_set": "", "region": region, "hemisphere": hemisphere, "n_mapping": n,
                 "draw": draw, "n_vertices": 300,
                 "r": value, "explained": value * abs(value), "normalised": normalised, "challenge": 100 * normalised,
                 "unclipped": 97 * normalised}
            )  # fmt: skip
    return rows


@functools.cache
def _posterior(hemisphere, n):
    """The n vertices of fsaverage5 that lie furthest back, ordered from the back to the front."""
    mesh = next(m for m in fsaverage5() if m.hemisphere == hemisphere and m.view == "ventral")
    return np.argsort(mesh.points[:, 1], kind="stable")[:n]


def _vertices(subject, rng):
    frames = []
    for hemisphere in ("lh", "rh"):
        places = _posterior(hemisphere, N_VERTICES)
        frame = pd.DataFrame({"hemisphere": hemisphere, "vertex": np.arange(N_VERTICES), "fsaverage": places})
        for region, (_, depth, grid, (start, stop)) in REGIONS.items():
            mine = (frame["vertex"] >= start) & (frame["vertex"] < stop)
            layer = np.clip(np.round(5 * depth + 0.7 * rng.normal(size=mine.sum())), 0, 5).astype(int)
            frame.loc[mine, "regions"] = f"{region}|{ALL_VERTICES}"
            frame.loc[mine, "layer"] = np.array(LAYERS)[layer]
            frame.loc[mine, "grid"] = np.where(rng.random(mine.sum()) < 0.7, grid, 4)
        frames.append(frame)
    both = pd.concat(frames, ignore_index=True)
    both = both.assign(subject=subject, metric="ridge", test_set="", alpha=1.0, cv=0.2, ceiling=0.5)
    noise = 0.1 * rng.normal(size=len(both))
    return pd.concat(
        [both.assign(n_mapping=n, r=0.35 * np.sqrt(n / (n + K)) + noise) for n in SIZES], ignore_index=True
    )
