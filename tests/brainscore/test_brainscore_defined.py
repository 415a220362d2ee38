"""Brain-Score's objects on registered files, official and local, and on benchmarks that a study defines.

They are made in Brain-Score's environment, all cases in one process.
"""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neuroscaling.core.files import read_json
from neuroscaling.study import benchmarks
from tests.support import awkward_recordings, brainscore_data
from tests.support.awkward_recordings import MINE

# All cases in one process: a minute, and eleven on a machine with much else to do.
pytestmark = pytest.mark.timeout(3000)
REGISTERED = (
    "MajajHong2015public.IT-pls",
    "MajajHong2015.V4-pls",
    "FreemanZiemba2013public.V1-pls",
    "Rajalingham2018public-i2n",
    "Rajalingham2018-i2n",
    "Allen2022_fmri.V1-ridge",
    "Allen2022_fmri.V2-rdm",
    "Papale2025.V4-ridgecv",
    "Hebart2023_fmri.IT-ridge",
    "Cowley2026.V4-pls",
)

DRIVER = """
import json, sys, tempfile
from dataclasses import replace
from pathlib import Path
import numpy as np
from neuroscaling.brainscore import own_benchmarks
from neuroscaling.brainscore import environment
from neuroscaling.study import benchmarks
environment.prepare_environment(Path(tempfile.mkdtemp()))
from scipy.stats import spearmanr
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_vision.benchmark_helpers import PrecomputedFeatures
from neuroscaling.brainscore import benchmark_objects
from neuroscaling.brainscore import local_files
from neuroscaling.core.errors import NeuroscalingError

given = json.loads(Path(sys.argv[1]).read_text())
stored = np.load(given["features"])
named = {str(stimulus): i for i, stimulus in enumerate(stored["ids"])}
renamed = {new: named[old] for new, old in given["renamed"].items()}
numbered = {str(1000 + i): i for i in range(len(named))}
for table, entries in (("DATA_SETS", given["data_sets"]), ("STIMULUS_SETS", given["stimulus_sets"])):
    for name, changed in entries.items():
        getattr(benchmarks, table)[name] = replace(getattr(benchmarks, table)[name], **changed)


class Model(PrecomputedFeatures):
    def __init__(self, degrees):
        super().__init__(None, degrees)

    def look_at(self, stimuli, number_of_trials=1):
        values = stored["values"][[rows[s] for s in stimuli["stimulus_id"]]]
        coords = {column: ("presentation", stimuli[column].values) for column in stimuli.columns}
        coords |= {"neuroid_id": ("neuroid", range(values.shape[1])), "layer": ("neuroid", ["x"] * values.shape[1])}
        return NeuroidAssembly(values, coords=coords, dims=["presentation", "neuroid"])


def summary(benchmark, degrees=None):
    part = getattr(benchmark, "_sessions", [benchmark])[0]
    recordings = part._assembly if hasattr(part, "_assembly") else part.train_assembly
    found = {"class": type(benchmark).__name__, "sizes": dict(recordings.sizes), "ceiling": float(benchmark.ceiling)}
    found["left out"] = list(benchmark.left_out)
    found["ceiling error"] = float(benchmark.ceiling.attrs.get("error", 0))
    raw = benchmark.ceiling.attrs.get("raw")
    found["ceiling dims"] = None if raw is None else [str(dim) for dim in raw.dims]
    if degrees:
        score = benchmark(Model(degrees))
        found |= {"score": float(score), "raw": float(score.raw)}
    return found


def load(case):
    global rows
    rows = numbered if case.get("root", "").endswith("numbered") else named | renamed
    if "define" in case:
        known = own_benchmarks.check_definitions({"mine": case["define"]}, case["root"])
        benchmark = benchmark_objects.benchmark_object("mine", known)
        found = summary(benchmark, known["mine"].degrees)
        if case.get("rdm"):
            neural = benchmark._assembly
            values = stored["values"][[rows[s] for s in neural["stimulus_id"].values]]
            upper = np.triu_indices(len(values), 1)
            found["by hand"] = spearmanr((1 - np.corrcoef(values))[upper], (1 - np.corrcoef(neural.values))[upper])[0]
        return found
    entry = benchmarks.registered_benchmark(case["benchmark"])
    local_files.register_benchmark(case["root"], entry)
    return summary(benchmark_objects.benchmark_object(entry.benchmark), entry.degrees if case.get("score") else None)


results = {}
for name, case in given["cases"].items():
    try:
        results[name] = load(case)
    except NeuroscalingError as error:
        results[name] = {"error": str(error)}
Path(sys.argv[2]).write_text(json.dumps(results))
"""


@pytest.fixture(scope="module")
def loaded(brainscore_python: str, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What Brain-Score makes of each case."""
    folder = tmp_path_factory.mktemp("loaded")
    root = folder / "local"
    root.mkdir()
    rng = np.random.default_rng(3)
    values = rng.standard_normal((80, 30))
    written = brainscore_data.write_majajhong(root, values)
    brainscore_data.write_majajhong(root, values, access="private", shuffled=True)
    few = values[:24]
    brainscore_data.write_freemanziemba(root, few, repetitions=2, neuroids=3)
    for access in ("public", "private"):
        brainscore_data.write_rajalingham(root, few, access)
    for write in (brainscore_data.write_allen, brainscore_data.write_papale, brainscore_data.write_hebart):
        write(root, few, values[24:40], neuroids=4)
    brainscore_data.write_cowley(root, few, neuroids=3)
    np.savez(folder / "features.npz", ids=written["MajajHong2015.public"], values=values)
    unequal = _without_some_repetitions(root, folder / "unequal")
    once = _without_some_repetitions(root, folder / "once", keep=1)
    with pytest.MonkeyPatch.context() as patch:
        packed = _packed(root, folder, patch)
        changed = {
            "data_sets": {"MajajHong2015.public": {"sha1": benchmarks.DATA_SETS["MajajHong2015.public"].sha1}},
            "stimulus_sets": {"hvm-public": _sha1s(benchmarks.STIMULUS_SETS["hvm-public"])},
        }
    altered = folder / "altered"
    _copy_with_damage(packed, altered, changed["data_sets"]["MajajHong2015.public"]["sha1"])
    cases = {name: {"root": str(root), "benchmark": name} for name in REGISTERED}
    cases["MajajHong2015public.IT-pls"]["score"] = True
    cases["official"] = {"root": str(packed), "benchmark": "MajajHong2015public.IT-pls", "score": True}
    cases["altered"] = {"root": str(altered), "benchmark": "MajajHong2015public.IT-pls"}
    cases["mine"] = {"root": str(root), "define": MINE}
    cases["no ceiling"] = {"root": str(root), "define": MINE | {"ceiling": "none"}}
    geometry = MINE | {"metric": "rdm", "ceiling": "none", "stratified_by": None}
    cases["rdm"] = {"root": str(root), "define": geometry, "rdm": True}
    cases["cka"] = {"root": str(root), "define": geometry | {"metric": "cka"}}
    cases["rdm ceiling"] = {"root": str(root), "define": geometry | {"ceiling": "internal_consistency"}}
    cases["numbered"] = {"root": str(_numbered(root, folder / "numbered")), "define": MINE}
    cases["unequal"] = {"root": str(unequal), "define": MINE}
    silent = _with_silent_sites(root, folder / "silent")
    cases["silent"] = {"root": str(silent), "define": MINE}
    cases["silent registered"] = {"root": str(silent), "benchmark": "MajajHong2015public.IT-pls", "score": True}
    cases["silent rdm"] = {"root": str(silent), "define": geometry}
    cases["all silent"] = {"root": str(_with_silent_sites(root, folder / "mute", every=1)), "define": MINE}
    cases["once"] = {"root": str(once), "define": MINE}
    cases["region"] = {"root": str(root), "define": MINE | {"region": "V2"}}
    cases["window"] = {"root": str(root), "define": MINE | {"time_window": [200, 300]}}
    cases["column"] = {"root": str(root), "define": MINE | {"stratified_by": "object_names"}}
    for name, changes in awkward_recordings.TOGETHER.items():
        changed_root = awkward_recordings.copied(root, folder / name)
        for change in changes:
            awkward_recordings.SOUND[change](changed_root)
        cases[name] = {"root": str(changed_root), "define": MINE}
    (folder / "driver.py").write_text(DRIVER)
    digits = {f"{awkward_recordings.PREFIX}{i:02d}": f"{i:04d}" for i in range(80)}
    awkward_recordings.with_renamed_ids(awkward_recordings.copied(root, folder / "digits"), digits)
    cases["digits"] = {"root": str(folder / "digits"), "benchmark": "MajajHong2015public.IT-pls"}
    renamed = {new: old for ids in (awkward_recordings.RENAMED, digits) for old, new in ids.items()}
    given = {"cases": cases, "features": str(folder / "features.npz"), "renamed": renamed, **changed}
    (folder / "given.json").write_text(json.dumps(given))
    ran = brainscore_data.run_in_brainscore(
        brainscore_python, folder / "driver.py", folder / "given.json", folder / "out.json"
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    left = sorted(str(path.relative_to(packed)) for path in packed.rglob("*") if path.is_file())
    return read_json(folder / "out.json") | {"files left": left}


def _packed(root: Path, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """MajajHong2015 in the official layout, read-only."""
    copied = folder / "copied"
    copied.mkdir()
    for name in ("assy_dicarlo_MajajHong2015_public.nc", "stimulus_hvm-public.csv", "stimulus_hvm-public"):
        subprocess.run(["cp", "-r", root / name, copied], check=True)
    packed = brainscore_data.as_official(copied, folder / "packed", ["MajajHong2015.public"], patch)
    for path in packed.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return packed


def _sha1s(stimuli: benchmarks.RegisteredStimuli) -> dict[str, str]:
    return {key: value for key, value in asdict(stimuli).items() if key in ("csv_sha1", "zip_sha1")}


def _copy_with_damage(packed: Path, altered: Path, sha1: str) -> None:
    subprocess.run(["cp", "-r", packed, altered], check=True)
    (assembly,) = (altered / sha1).glob("*.nc")
    assembly.parent.chmod(0o755)
    assembly.chmod(0o644)
    assembly.write_bytes(assembly.read_bytes() + b"more")


def _without_some_repetitions(root: Path, out: Path, keep: int | None = None) -> Path:
    """MajajHong2015 where some stimuli were shown less often, or all of them `keep` times."""
    out.mkdir()
    for name in ("stimulus_hvm-public.csv", "stimulus_hvm-public"):
        (out / name).symlink_to(root / name)
    with xr.open_dataarray(root / MINE["assembly"]) as opened:
        trials = opened.load()
    number = np.array([int(stimulus[-4:]) for stimulus in trials["stimulus_id"].values])
    limit = np.where(number % 5 == 0, 1 + number % 3, 4) if keep is None else keep
    trials[trials["repetition"].values < limit].to_netcdf(out / MINE["assembly"])
    return out


def _with_silent_sites(root: Path, out: Path, every: int = 3) -> Path:
    """MajajHong2015 where every third site answers .1 to everything."""
    out.mkdir()
    for name in ("stimulus_hvm-public.csv", "stimulus_hvm-public"):
        (out / name).symlink_to(root / name)
    with xr.open_dataarray(root / MINE["assembly"]) as opened:
        trials = opened.load()
    trials.values[:, np.arange(trials.sizes["neuroid"]) % every == 0] = 0.1
    trials.to_netcdf(out / MINE["assembly"])
    return out


def _with_number(row: str) -> str:
    """A row of the table with a number for its id; numbers sort as the ids did, so that the splits stay."""
    stimulus, *rest = row.split(",")
    return ",".join([str(1000 + int(stimulus[-4:])) if stimulus[-4:].isdigit() else stimulus, *rest])


def _numbered(root: Path, out: Path) -> Path:
    """MajajHong2015 with numbers as ids of the stimuli, and a number of its own for each trial."""
    out.mkdir()
    (out / "stimulus_hvm-public").symlink_to(root / "stimulus_hvm-public")
    table = (root / MINE["stimuli"]).read_text().split("\n")
    (out / MINE["stimuli"]).write_text("\n".join(map(_with_number, table)))
    with xr.open_dataarray(root / MINE["assembly"]) as opened:
        trials = opened.load()
    ids = [1000 + int(stimulus[-4:]) for stimulus in trials["stimulus_id"].values]
    trials = trials.assign_coords(stimulus_id=("presentation", ids), trial=("presentation", np.arange(len(ids))))
    trials.to_netcdf(out / MINE["assembly"])
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", REGISTERED)
def test_brainscores_own_classes_take_the_files(loaded: dict, name: str):
    found = loaded[name]
    assert 0.2 < found["ceiling"] <= 1, found
    kinds = {"train_test": "TrainTestNeuralBenchmark", "rsa": "RSABenchmark"}
    assert found["class"] == kinds.get(benchmarks.BENCHMARKS[name].kind, found["class"])


@pytest.mark.slow
def test_official_files_give_the_same_score_and_stay_packed(loaded: dict):
    assert loaded["official"] == loaded["MajajHong2015public.IT-pls"]
    assert len(loaded["files left"]) == 3
    assert "SHA1 mismatch" in loaded["altered"]["error"]


@pytest.mark.slow
def test_a_definition_of_a_registered_benchmark_scores_the_same(loaded: dict):
    registered = loaded["MajajHong2015public.IT-pls"]
    assert loaded["mine"] == registered and registered["raw"] > 0.5
    assert loaded["no ceiling"]["raw"] == registered["raw"]
    assert loaded["no ceiling"]["score"] == pytest.approx(registered["raw"] ** 2, rel=1e-12)


@pytest.mark.slow
def test_ids_that_are_numbers_and_coordinates_of_trials_change_nothing(loaded: dict):
    assert loaded["numbered"] == loaded["mine"]


@pytest.mark.slow
@pytest.mark.parametrize("name", awkward_recordings.TOGETHER)
def test_tables_and_recordings_as_people_have_them_score_the_same(loaded: dict, name: str):
    assert loaded[name] == loaded["mine"]


@pytest.mark.slow
def test_ids_that_are_text_of_digits_stay_text_under_registered_names(loaded: dict):
    assert loaded["digits"].items() <= loaded["MajajHong2015public.IT-pls"].items()
    assert loaded["digits"]["sizes"]["presentation"] == 80


@pytest.mark.slow
def test_definitions_compare_geometry_by_brainscores_class(loaded: dict):
    assert loaded["rdm"]["class"] == loaded["cka"]["class"] == "RSABenchmark"
    assert loaded["rdm"]["raw"] == loaded["rdm"]["score"] == pytest.approx(loaded["rdm"]["by hand"], abs=1e-12)
    assert 0 < loaded["cka"]["raw"] < 1
    assert "compares subjects" in loaded["rdm ceiling"]["error"]


@pytest.mark.slow
def test_unequal_repetitions_are_halved_at_random_and_none_is_refused(loaded: dict):
    # Some stimuli were shown less often, so that the averages hold a little more noise.
    assert loaded["mine"]["ceiling"] - 0.1 < loaded["unequal"]["ceiling"] < loaded["mine"]["ceiling"] + 0.01
    assert 0 < loaded["unequal"]["ceiling error"] < 0.02
    assert loaded["unequal"]["ceiling dims"] == loaded["mine"]["ceiling dims"]
    assert loaded["unequal"]["sizes"] == loaded["mine"]["sizes"]
    assert "a ceiling needs repetitions" in loaded["once"]["error"] and "ceiling: none" in loaded["once"]["error"]


@pytest.mark.slow
def test_sites_that_do_not_vary_are_left_out_and_named(loaded: dict):
    mine, registered = loaded["silent"], loaded["silent registered"]
    n = loaded["mine"]["sizes"]["neuroid"]
    assert mine["sizes"]["neuroid"] + len(mine["left out"]) == n and 0 < len(mine["left out"]) < n
    # The same rule, the same sites and the same score, whether the benchmark is registered or defined.
    assert mine == registered and mine["raw"] > 0.5
    assert loaded["silent rdm"]["left out"] == mine["left out"]
    assert loaded["mine"]["left out"] == loaded["unequal"]["left out"] == []
    assert "neuroids answer equally to every stimulus" in loaded["all silent"]["error"]


@pytest.mark.slow
def test_what_recordings_lack_is_told(loaded: dict):
    assert "no neuroid of this region" in loaded["region"]["error"] and "IT, V4" in loaded["region"]["error"]
    assert "no time bin in the window" in loaded["window"]["error"] and "70 to 170" in loaded["window"]["error"]
    assert "nearest:  object_name" in loaded["column"]["error"]
