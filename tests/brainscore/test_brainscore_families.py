"""Each family of the table takes files of one's own: tiny stand-ins of its data, loaded by Brain-Score's classes."""

import json
from pathlib import Path

import pytest

from neuroscaling.core.files import read_json
from neuroscaling.study import benchmarks
from tests.support.brainscore_data import run_in_brainscore

DRIVER = """
import json, sys, tempfile
from pathlib import Path
from neuroscaling.brainscore import environment
from neuroscaling.study import benchmarks
environment.prepare_environment(Path(tempfile.mkdtemp()))
import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image
from brainscore_core.supported_data_standards.brainio import assemblies
from brainscore_core.supported_data_standards.brainio.assemblies import walk_coords
from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
from neuroscaling.brainscore import benchmark_objects
from neuroscaling.brainscore import local_files
from tools import registry_stand_ins

root, names = Path(sys.argv[1]), json.loads(sys.argv[2])
TABLE = "stimulus_id,filename,object_name,texture_type,image_label\\na,a.png,x,x,x\\nb,b.png,y,y,y\\n"


def write_stimuli(stimuli):
    (root / stimuli.stem).mkdir(exist_ok=True)
    for name in "ab":
        Image.new("RGB", (8, 8)).save(root / stimuli.stem / f"{name}.png")
    (root / f"{stimuli.stem}.csv").write_text(TABLE)


def write_recordings(data_set):
    shown = StimulusSet(pd.DataFrame({"stimulus_id": ["a", "b"]}))
    shown.identifier = "stand-in"
    if data_set.kind == "BehavioralAssembly":
        made = registry_stand_ins.behavioral_stand_in(assemblies.BehavioralAssembly, shown)
        made["truth"] = "presentation", ["x", "y"]
    else:
        made = registry_stand_ins.neural_stand_in(assemblies.NeuroidAssembly, data_set.data, shown)
    coords = {name: (dims, values) for name, dims, values in walk_coords(made)}
    if data_set.data == "Cadena2017":  # its loader names neuroids by their number; gaps are images not shown
        coords = {name: entry for name, entry in coords.items() if entry[0] != ("neuroid",)}
        coords["neuroid"] = ("neuroid", np.arange(made.sizes["neuroid"]))
        made.values[::2, 0] = np.nan
    attributes = {"image_size_degree": made.attrs.get("image_size_degree", 8)}
    xr.DataArray(made.values, coords, made.dims, "responses", attributes).to_netcdf(root / data_set.assembly_file)


found = {}
for name in names:
    benchmark = benchmarks.BENCHMARKS[name]
    for stimuli in benchmark.stimulus_sets:
        write_stimuli(benchmarks.STIMULUS_SETS[stimuli])
    for data in benchmark.data:
        write_recordings(benchmarks.DATA_SETS[data])
    try:
        local_files.register_benchmark(root, benchmark)
        loaded = benchmark_objects.benchmark_object(name)
        parts = getattr(loaded, "_sessions", [loaded])
        kinds = ("_assembly", "train_assembly", "test_assembly")
        held = [getattr(part, kind) for part in parts for kind in kinds if hasattr(part, kind)]
        found[name] = [sorted(set(assembly["stimulus_id"].values.tolist())) for assembly in held]
    except Exception as error:
        found[name] = repr(error)
(root / "found.json").write_text(json.dumps(found))
"""


@pytest.mark.slow
def test_every_family_takes_files_of_ones_own(brainscore_python: str, tmp_path: Path):
    families = {(entry.data, entry.kind): name for name, entry in benchmarks.BENCHMARKS.items()}
    ran = run_in_brainscore(brainscore_python, "-c", DRIVER, tmp_path, json.dumps(list(families.values())))
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = read_json(tmp_path / "found.json")
    assert len(found) == len(families) > 20
    holding = {"neural": 1, "rsa": 1, "behavior": 1, "train_test": 2}
    for name, sets in found.items():
        entry = benchmarks.BENCHMARKS[name]
        shown = ["b"] if name == "Cadena2017-pls" else ["a", "b"]
        assert sets == [shown] * (holding[entry.kind] * entry.parts), name
