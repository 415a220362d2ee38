"""A large network with random weights under the memory limit of Slurm jobs on this machine.

    python -m tests.slurm.campaign.large_network FOLDER [NETWORK]

NETWORK (deit_huge, 632 million parameters) is made and extracted, in one job, as `plan` asks. Then its activations are
deleted and asked for again, with the 4,000 MB that every extraction once had. Needs 7 GB of memory and some minutes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from tests.slurm.lab import HERE, MARK, ROOT, drive
from tests.support.clones import copy_clone
from tests.support.processes import LIMIT

IMAGES = 8
"""As many as a batch has: each takes seconds on a core."""
FORMER_MB = 4000
STUDY = ("--config", "study=large.yaml", "--until", "train", "activations", "--retries", "0")


def prepare(folder: Path, network: str) -> None:
    """Put a study of the network with made-up images and responses into a folder, and the workflow."""
    copy_clone(folder)
    images = folder / "images"
    images.mkdir()
    draws = np.random.default_rng(0)
    for i in range(IMAGES):
        Image.fromarray(draws.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(images / f"{i}.png")
    np.save(folder / "responses.npy", draws.standard_normal((IMAGES, 2)))
    (folder / "units.csv").write_text("region\nV1\nV1\n")
    recordings = {"source": "arrays", "name": "made-up", "data": {"local": str(folder)}, "images": "images"}
    recordings |= {"responses": "responses.npy", "units": "units.csv", "axes": ["images", "units"], "simulated": True}
    study = {
        "study": "large",
        "store": "store",
        "runs": [{"untrained": [network]}],
        "extraction": {"batch": IMAGES},
        "reduction": {"kind": "grid", "size": 4},
        "encoding": [recordings],
    }
    (folder / "large.yaml").write_text(yaml.safe_dump(study))


def driven(folder: Path, *options: str) -> dict[str, object]:
    """Run the study; of each job what it had and how it ended, and the peaks that records state."""
    driver = drive(folder, *STUDY, *options, snakefile=folder / "Snakefile")
    status = driver.process.wait(3600)
    records = [*folder.glob("store/runs/*/run.json"), *folder.glob("store/activations/*/[!.]*.json")]
    peaks = {str(one.relative_to(folder)): json.loads(one.read_text())["provenance"]["peak_mb"] for one in records}
    jobs = [
        {"rule": job.rule, "memory": job.memory, "state": job.state, "seconds": (job.end - job.start).seconds}
        for job in driver.jobs()
        if job.rule in ("train", "activations") and job.start and job.end
    ]
    print(json.dumps({"status": status, "jobs": jobs, "peak_mb": peaks}, indent=1), flush=True)
    return {"status": status, "jobs": jobs}


def main() -> int:
    """Start Slurm, make and extract the network, extract it with too little memory, stop Slurm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder for the study, its store and logs")
    parser.add_argument("network", nargs="?", default="deit_huge", help="its architecture (deit_huge)")
    options = parser.parse_args()
    folder, lab = options.folder.resolve(), options.folder.resolve().with_name("neuroscaling-slurm")
    folder.mkdir(parents=True)
    prepare(folder, options.network)
    asked = [sys.executable, "-m", "neuroscaling.cli.main", "plan", "large.yaml", "--stage", "jobs"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    subprocess.run([*asked[:3], "check", "large.yaml"], cwd=folder, env=environment, check=True)
    subprocess.run(asked, cwd=folder, env=environment, check=True)
    os.environ[MARK] = "1"
    subprocess.run([HERE / "cluster/start.sh", lab], check=True, timeout=LIMIT)
    try:
        as_planned = driven(folder)
        shutil.rmtree(folder / "store/activations")
        as_before = driven(folder, "--set-resources", f"activations:mem_mb={FORMER_MB}")
        return 0 if not as_planned["status"] and as_before["status"] else 1
    finally:
        subprocess.run([HERE / "cluster/stop.sh", lab], timeout=LIMIT)


if __name__ == "__main__":
    sys.exit(main())
