"""Brain-Score's data without Brain-Score: the table of ids, files in both layouts, definitions of benchmarks."""

import fcntl
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from PIL import Image

from neuroscaling.brainscore import own_benchmarks
from neuroscaling.brainscore.recording_checks import recording_problems, session_problems
from neuroscaling.cli.deep_checks import deep_problems
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.files import read_json, write_json
from neuroscaling.core.hashing import file_sha1
from neuroscaling.study import benchmarks
from neuroscaling.study.brainscore_jobs import brainscore_jobs
from neuroscaling.study.loaded_study import load_study
from tests.support import awkward_recordings, brainscore_data
from tests.support.awkward_recordings import MINE

REPOSITORY = Path(__file__).parents[2]
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
)


# --- the table of registered benchmarks


@pytest.mark.slow
def test_the_table_is_what_the_installed_package_registers(brainscore_python: str, tmp_path: Path):
    made = brainscore_data.run_in_brainscore(brainscore_python, "-m", "tools.registry_table", tmp_path / "table.json")
    assert made.returncode == 0, made.stderr
    known = read_json(Path(benchmarks.__file__).with_name("registered.json"))
    assert read_json(tmp_path / "table.json") == known, "run python -m tools.registry_table"


def test_the_table_covers_the_families_and_says_why_others_are_not_served():
    for name in (*REGISTERED, "Cowley2026.V4-pls", "Li2026.IT-ridgecv", "Allen2022_fmri_surface_4subj.IT-rdm"):
        assert benchmarks.registered_benchmark(name).benchmark == name
    entry = benchmarks.registered_benchmark("Allen2022_fmri.V1-ridge")
    assert (entry.kind, entry.metric, entry.degrees, entry.subjects) == ("train_test", "dual_ridge", 8.4, "subject")
    assert entry.data == ("Allen2022_fmri_train", "Allen2022_fmri_test")
    assert benchmarks.registered_benchmark("MajajHong2015public.IT-pls").stratified_by == "object_name"
    assert benchmarks.registered_benchmark("Rajalingham2018-i2n").stimulus_sets == (
        "objectome.public",
        "objectome.private",
    )
    assert benchmarks.registered_benchmark("Cowley2026.V4-pls").parts == 4
    with pytest.raises(StudyError, match="not served: metric spantime_pls"):
        benchmarks.registered_benchmark("MajajHong2015public.IT-temporal-pls")
    with pytest.raises(StudyError, match=r"nearest:  Papale2025\.V4-ridgecv"):
        benchmarks.registered_benchmark("Papale2025.V4-ridge-cv")


def test_file_names_of_the_simulated_families_are_those_of_the_table():
    for data, (assembly, stimuli) in brainscore_data.FAMILIES.items():
        entry = benchmarks.DATA_SETS[data]
        assert (entry.assembly, benchmarks.STIMULUS_SETS[entry.stimulus_set].identifier) == (assembly, stimuli)


# --- files in both layouts


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """Simulated MajajHong and Allen recordings in the local layout."""
    root = tmp_path / "local"
    root.mkdir()
    features = np.random.default_rng(0).standard_normal((80, 5))
    brainscore_data.write_majajhong(root, features)
    brainscore_data.write_allen(root, features[:16], features[16:24])
    return root


def official(local: Path, monkeypatch: pytest.MonkeyPatch, *data: str) -> Path:
    return brainscore_data.as_official(local, local.parent / "official", data, monkeypatch)


def test_training_and_test_files_are_found_together(local: Path):
    files, alone = benchmarks.find_benchmark(local, benchmarks.registered_benchmark("Allen2022_fmri.V1-rdm"))
    assert [entry.data_set.data for entry in files] == ["Allen2022_fmri_train", "Allen2022_fmri_test"]
    assert alone == [] and not files[0].official
    assert benchmarks.registered_benchmark("Allen2022_fmri.V1-rdm").stimulus_sets == (
        "Allen2022_fmri_stim_train",
        "Allen2022_fmri_stim_test",
    )


def test_a_missing_file_says_what_to_download_and_where_to_put_it(local: Path):
    (local / "assy_Allen2022_fMRI_test_Assembly.nc").unlink()
    with pytest.raises(DataError) as error:
        benchmarks.find_benchmark(local, benchmarks.registered_benchmark("Allen2022_fmri.V1-ridge"))
    (problem,) = error.value.problems
    known = benchmarks.DATA_SETS["Allen2022_fmri_test"]
    assert problem.value == "assy_Allen2022_fMRI_test_Assembly.nc"
    key = "s3://brainscore-storage/brainscore-vision/benchmarks/Allen2022/Allen2022_fmri"
    for part in (
        f"{key}/{problem.value}",
        known.sha1,
        f"{local}/{known.sha1}/{problem.value}",
        f"{local}/{problem.value}",
    ):
        assert part in problem.fix
    with pytest.raises(DataError) as error:
        benchmarks.find_benchmark(local, benchmarks.registered_benchmark("Rajalingham2018-i2n"))
    missing = {problem.value for problem in error.value.problems}
    assert "stimulus_objectome_public.csv" in missing and "assy_dicarlo_Rajalingham2018_private.nc" in missing


def test_a_file_in_the_folder_of_another_sha1_is_no_find(local: Path, monkeypatch: pytest.MonkeyPatch):
    root = official(local, monkeypatch, "MajajHong2015.public")
    assert benchmarks.find_files(root, benchmarks.DATA_SETS["MajajHong2015.public"]).official
    right = root / benchmarks.DATA_SETS["MajajHong2015.public"].sha1
    right.rename(root / "0000")
    with pytest.raises(DataError, match="lies in a folder of another sha1"):
        benchmarks.find_files(root, benchmarks.DATA_SETS["MajajHong2015.public"])


def test_a_sha1_mismatch_is_told_with_both(local: Path, monkeypatch: pytest.MonkeyPatch):
    root = official(local, monkeypatch, "MajajHong2015.public")
    files = benchmarks.find_files(root, benchmarks.DATA_SETS["MajajHong2015.public"])
    assert list(benchmarks.sha1_problems(files)) == []
    files.csv.write_text(files.csv.read_text() + "\n")
    (problem,) = recording_problems(root, ["MajajHong2015public.IT-pls", "MajajHong2015public.V4-pls"])
    assert "SHA1 mismatch" in problem.what
    assert (problem.value, problem.allowed) == (file_sha1(files.csv), files.csv.parent.name)


def test_preflight_finds_what_is_wrong_with_recordings_of_ones_own(local: Path):
    assert list(recording_problems(local, ["MajajHong2015public.IT-pls", "Allen2022_fmri.V1-ridge"])) == []
    path = local / "assy_Allen2022_fMRI_test_Assembly.nc"
    with xr.open_dataarray(path) as opened:
        values = opened.load()
    values[0, :2] = np.nan
    values.to_netcdf(path)
    csv = local / "stimulus_hvm-public.csv"
    csv.write_text(csv.read_text().replace("MajajHong2015-public-0003,", "another,"))
    found = [
        str(problem) for problem in recording_problems(local, ["MajajHong2015public.IT-pls", "Allen2022_fmri.V1-ridge"])
    ]
    assert len(found) == 3
    assert "MajajHong2015-public-0003" in found[1] and "another" in found[0] and "2 of" in found[2]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated MajajHong recordings of 80 images."""
    root = tmp_path_factory.mktemp("sound")
    brainscore_data.write_majajhong(root, np.random.default_rng(3).standard_normal((80, 5)))
    return root


@pytest.mark.parametrize("name", awkward_recordings.SOUND)
def test_preflight_takes_tables_and_recordings_as_people_have_them(sound: Path, tmp_path: Path, name: str):
    root = awkward_recordings.copied(sound, tmp_path / "changed")
    awkward_recordings.SOUND[name](root)
    assert list(recording_problems(root, ["mine"], {"mine": MINE})) == []


@pytest.mark.parametrize("name", awkward_recordings.REFUSED)
def test_preflight_refuses_with_file_line_and_column_what_scoring_would_fail_at(sound: Path, tmp_path: Path, name: str):
    change, definition, words = awkward_recordings.REFUSED[name]
    root = awkward_recordings.copied(sound, tmp_path / "changed")
    change(root)
    told = "\n".join(map(str, recording_problems(root, ["mine"], {"mine": MINE | definition})))
    assert [word for word in words if word not in told] == [], told


@pytest.mark.parametrize("name", ["inf", "latin-1", "no image", "class of one", "id twice"])
def test_preflight_looks_as_closely_at_files_under_registered_names(sound: Path, tmp_path: Path, name: str):
    change, _, words = awkward_recordings.REFUSED[name]
    root = awkward_recordings.copied(sound, tmp_path / "changed")
    change(root)
    told = "\n".join(map(str, recording_problems(root, ["MajajHong2015public.IT-pls"])))
    assert [word for word in words if word not in told] == [], told


def test_under_registered_names_text_in_bytes_is_refused_and_a_missing_column_named(sound: Path, tmp_path: Path):
    root = awkward_recordings.copied(sound, tmp_path / "changed")
    awkward_recordings.SOUND["text in bytes"](root)
    awkward_recordings.in_table(awkward_recordings.replaced("object_name", "object"))(root)
    found = [problem.what for problem in recording_problems(root, ["MajajHong2015public.IT-pls"])]
    assert found == [
        "coordinates whose text is stored as bytes",
        "MajajHong2015public.IT-pls balances its splits by a column that is missing",
    ]


def test_check_decodes_ones_own_stimuli_until_they_are_prepared(sound: Path, tmp_path: Path):
    root = awkward_recordings.copied(sound, tmp_path / "data")
    (root / MINE["images"]).unlink()
    shutil.copytree(sound / MINE["images"], root / MINE["images"])
    deep = root / MINE["images"] / "MajajHong2015-public-0004.png"
    Image.fromarray(np.ones((8, 8), np.float32)).save(deep, "TIFF")
    brainscore = {"data": {"local": str(root)}, "define": {"mine": MINE}, "benchmarks": ["mine"]}
    study = {
        "study": "s",
        "store": str(tmp_path / "store"),
        "runs": [{"baselines": ["pixels"]}],
        "brainscore": brainscore,
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    loaded = load_study(tmp_path / "study.yaml")
    faults = deep_problems(loaded)
    assert [problem.what for problem in faults] == [
        "image can't be decoded: its values (PIL's mode F) have no known range",
        "1 of 80 images can't be read or decoded",
    ]
    assert faults[0].where == str(deep)
    (job,) = brainscore_jobs(loaded)
    write_json(loaded.store.stimuli(job.stimuli.name) / "manifest.json", {})
    assert deep_problems(loaded) == []


READ = """
import sys, tempfile
from pathlib import Path
if sys.argv[2] == "scoring":
    from neuroscaling.brainscore.environment import prepare_environment
    prepare_environment(Path(tempfile.mkdtemp()))
    import netCDF4
from neuroscaling.brainscore.recordings import read_recordings
print(read_recordings(sys.argv[1]).values.shape)
"""


@pytest.mark.parametrize("who", ["check", "scoring"])
def test_recordings_on_a_disk_without_locks_are_read(sound: Path, tmp_path: Path, who: str):
    root = awkward_recordings.copied(sound, tmp_path / "locked")
    with open(root / MINE["assembly"], "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # nobody else gets a lock
        ran = brainscore_data.run_in_brainscore(sys.executable, "-c", READ, root / MINE["assembly"], who)
    assert (ran.stdout, ran.stderr) == ("(320, 12, 1)\n", "")


def test_the_hash_of_official_files_needs_no_files_and_that_of_local_ones_only_its_own(local: Path):
    names = ("MajajHong2015public.IT-pls", "MajajHong2015public.V4-pls")
    assert benchmarks.source_hash(None, names[0]) == benchmarks.source_hash(None, names)
    assert benchmarks.source_hash(None, names) != benchmarks.source_hash(None, "Allen2022_fmri.V1-ridge")
    before = [benchmarks.source_hash(local, name) for name in (names[0], "Allen2022_fmri.V1-ridge")]
    csv = local / "stimulus_hvm-public.csv"
    csv.write_text(csv.read_text() + "\n")
    after = [benchmarks.source_hash(local, name) for name in (names[0], "Allen2022_fmri.V1-ridge")]
    assert before[0] != after[0] and before[1] == after[1]


# --- benchmarks defined in a study


def test_a_definition_is_an_entry_of_the_table(tmp_path: Path):
    found = own_benchmarks.check_definitions({"mine": MINE}, tmp_path)
    entry = own_benchmarks.benchmark_entry("mine", found)
    assert (entry.region, entry.metric, entry.kind, entry.stimulus_sets) == ("IT", "pls", "neural", ("mine",))
    assert found["mine"].assembly == tmp_path / MINE["assembly"]
    assert own_benchmarks.benchmark_entry("Papale2025.V4-ridge", found) is benchmarks.BENCHMARKS["Papale2025.V4-ridge"]
    with pytest.raises(DataError) as error:
        own_benchmarks.require_files(found["mine"])
    assert len(error.value.problems) == 3


def test_the_example_of_the_page_is_a_definition(tmp_path: Path):
    page = (Path(__file__).parents[2] / "docs" / "brainscore.md").read_text()
    example, further = re.findall(r"```yaml\n(.*?)```", page, re.S)
    parts = [yaml.safe_load(part)["brainscore"] for part in (example, further)]
    found = own_benchmarks.check_definitions({k: v for part in parts for k, v in part["define"].items()}, tmp_path)
    assert found["our-IT"].time_window == (70.0, 170.0) and found["v4-210325"].metric == "pls"
    names = [name for part in parts for name in part["benchmarks"]]
    assert [own_benchmarks.benchmark_entry(name, found).region for name in names] == ["IT", "IT", "V4"]


def test_definitions_that_a_v4_session_cannot_serve_are_told_before_it_is_there(tmp_path: Path):
    paths = {"assembly": "210325/assembly.nc", "stimuli": "210325/stimuli.csv", "images": "210325/images"}
    fine = paths | {"region": "V4", "metric": "pls", "degrees": 11.2}
    told = fine | {"region": "IT", "stratified_by": "category", "time_window": [50, 149]}
    without = fine | {key: value.replace("210325", "190923") for key, value in paths.items()}
    settings = {"fine": fine, "told": told, "without": without, "unused": told}
    found = list(session_problems(["fine", "told", "without"], settings, None))
    assert [problem.where.removeprefix("brainscore.define.") for problem in found] == [
        *("told.stratified_by", "told.region", "told.time_window"),
        "without.ceiling",
    ]
    assert [problem.where for problem in session_problems(["fine"], settings, tmp_path)] == [
        "brainscore.define.fine.ceiling"
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "plss"}, "nearest:  pls"),
        ({"region": "V3"}, r"define\.mine\.region"),
        ({"degree": 8}, "nearest:  degrees"),
        ({"degrees": 0}, "above 0"),
        ({"time_window": [170, 70]}, r"\[from, to\]"),
        ({"ceiling": "split_half"}, "internal_consistency, none"),
        ({"metric": "cka"}, "no ceiling"),
    ],
)
def test_what_is_wrong_with_a_definition_is_told(tmp_path: Path, change: dict, message: str):
    with pytest.raises(StudyError, match=message):
        own_benchmarks.check_definitions({"mine": MINE | change}, tmp_path)


def test_a_definition_may_not_bear_a_registered_name_or_lack_a_key(tmp_path: Path):
    lacking = {key: value for key, value in MINE.items() if key != "assembly"}
    with pytest.raises(StudyError) as error:
        own_benchmarks.check_definitions({"MajajHong2015.IT-pls": MINE, "mine": lacking}, tmp_path)
    assert [problem.what for problem in error.value.problems] == [
        "a registered benchmark has this name",
        "key is missing",
    ]
