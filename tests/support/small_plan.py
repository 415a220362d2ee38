"""A small study to plan: twelve supervised networks and one of SimCLR on digits."""

from pathlib import Path

STUDY = """
study: small
store: {store}
datasets: {{digits: {{format: digits}}}}
training: {{runs_per_job: 4}}
runs:
  - {{archs: [resnet_w8, vit_w16], datasets: [digits], recipe: digits, samples_per_class: [1, 10], seeds: [0, 1, 2]}}
  - {{archs: [resnet_w8], datasets: [digits], recipe: digits_simclr, samples_per_class: [10]}}
"""


def write_small(folder: Path) -> Path:
    """The study file in `folder`, its store below it."""
    path = folder / "small.yaml"
    path.write_text(STUDY.format(store=folder / "store"))
    return path
