"""A disk without room: one message from every writer, and what stood there before still stands there.

A limit on the size of files stands in for the disk: what goes beyond it fails in the same calls.
"""

import json
import os
import subprocess
import sys

import pytest

WRITE = """
import json, resource, sys
from pathlib import Path
import numpy as np, torch
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.activations.zarr_writing import write_store
from neuroscaling.core.encoding_scores import write_parquet
from neuroscaling.core.errors import FullDiskError
from neuroscaling.core.files import atomic_path
from neuroscaling.core.files import full_disk_named
from neuroscaling.core.files import new_memmap
from neuroscaling.core.files import write_json
from neuroscaling.models.weights import read_weights
from neuroscaling.models.weights import save_weights
from neuroscaling.training.checkpoints import load_state
from neuroscaling.training.checkpoints import save_state

folder, rng = Path(sys.argv[1]), np.random.default_rng(0)
LIMIT = 100_000

def npy(n):
    with atomic_path(folder / "a.npy") as path, open(path, "wb") as file:
        np.save(file, rng.standard_normal(n))

def mapped(n):
    with atomic_path(folder / "mapped.npy") as path:
        new_memmap(path, np.float64, (n,))[:] = 1

def netcdf(n):
    import xarray
    with atomic_path(folder / "a.nc") as path:
        xarray.DataArray(rng.standard_normal(n), dims="x").to_netcdf(path, engine="netcdf4")

def store(n):
    values = rng.standard_normal((100, max(n // 100, 2))).astype(np.float32)
    write_store(folder / "set.json", [str(i) for i in range(100)], [{"layer": values}], reduction={"kind": "none"})

def in_the_background(n):
    from neuroscaling.activations.passes import BackgroundWriter
    with full_disk_named(folder / "shard"), BackgroundWriter() as background:
        background.put(1, lambda: (folder / "shard").write_bytes(bytes(8 * n)))

WRITERS = {
    "npy": npy, "mapped": mapped, "netcdf": netcdf, "store": store, "background": in_the_background,
    "json": lambda n: write_json(folder / "a.json", "x" * 8 * n),
    "parquet": lambda n: write_parquet(folder / "a.parquet", {"a": rng.standard_normal(n)}),
    "state": lambda n: save_state(folder / "state", 3, {"definition": "x", "a": torch.ones(n)}),
    "weights": lambda n: save_weights(torch.nn.Linear(n, 1), folder / "a.safetensors", {}),
}
for write in WRITERS.values():
    write(10)
before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "shard"}
resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
told = {}
for name, write in WRITERS.items():
    try:
        write(200_000)
        told[name] = "nothing"
    except FullDiskError as error:
        told[name] = str(error)
    except BaseException as error:
        told[name] = repr(error)
after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "shard"}
print(json.dumps({"told": told, "lost": [str(path) for path in before if after.get(path) != before[path]],
                  "left": [str(path) for path in after if path not in before]}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("disk")
    done = subprocess.run([sys.executable, "-c", WRITE, folder], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


WRITERS = ("npy", "mapped", "netcdf", "store", "background", "json", "parquet", "state", "weights")


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_named_whatever_library_writes(found, writer):
    assert "no space left on the disk" in found["told"][writer] and "free space" in found["told"][writer]


def test_what_stood_there_is_still_there_and_nothing_is_left_over(found):
    assert set(found["told"]) == set(WRITERS) and not found["lost"] and not found["left"]
