"""A score table of simulated networks whose spread, noise, order over scales and luck of layers are known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Planted:
    """The truth. spread, noise: standard deviations between networks and between seeds; carried: correlation of the
    networks' true scores between two neighbouring scales; luck: of seed 0 with all images."""

    networks: int = 400
    seeds: int = 3
    spread: float = 0.03
    noise: float = 0.01
    carried: float = 0.8
    luck: float = 0.0
    error: float = 0.004
    scales: tuple[int, ...] = (10, 100, 0)
    datasets: tuple[str, ...] = ("d",)
    region: str = "V1"


def planted_table(truth: Planted, seed: int = 0) -> pd.DataFrame:
    """One row a network, scale and seed; layers are chosen on the reported score of seed 0 with all images."""
    draw = np.random.default_rng(seed)
    rows = []
    for dataset in truth.datasets:
        true = draw.normal(0, truth.spread, truth.networks)
        for k in truth.scales:
            scores = 0.4 + true[:, None] + draw.normal(0, truth.noise, (truth.networks, truth.seeds))
            if k == 0:
                scores[:, 0] += truth.luck
            rows += [
                _row(truth, dataset, k, network, own, float(score))
                for network, of_network in enumerate(scores)
                for own, score in enumerate(of_network)
            ]
            fresh = draw.normal(0, truth.spread, truth.networks)
            true = truth.carried * true + (1 - truth.carried**2) ** 0.5 * fresh
    return pd.DataFrame(rows)


def _row(truth: Planted, dataset: str, k: int, network: int, seed: int, score: float) -> dict[str, object]:
    run = f"a{network}_{dataset}_{k or 'all'}_s{seed}"
    chosen = f"a{network}_{dataset}_all_s0"
    return {
        "run": run, "arch": f"a{network}", "arch_family": "ResNet", "dataset": dataset, "samples_per_class": k,
        "seed": seed, "n_samples": 10.0 * (k or 1000), "kind": "trained", "is_pretrained": False, "is_random": False,
        "data": "simulated-planted", "simulated": True, "benchmark": f"{truth.region}-pls", "metric": "pls",
        "region": truth.region, "subject": None, "test_set": None, "n_mapping": 100.0, "score": score,
        "error": truth.error, "scale": "r2/c", "protocol": "parity", "engine": "kernel", "layers_from": chosen,
        "layer_choice": "reported",
    }  # fmt: skip
