"""One store, several folders and studies: nobody is given another study's numbers, and nothing of anybody's is lost."""

import copy
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.conftest import PACKED, SMALL, TABLE, Workdir, make_workdir, told_here
from tests.workflow.test_incremental import AFTER_SCORES, artefacts

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
OTHER_TABLE = TABLE.replace("small", "other")


@pytest.fixture
def colleague(workdir: Workdir, tmp_path: Path) -> Workdir:
    """Another folder, on the store of the finished study; it knows nothing of how that was made."""
    return make_workdir(tmp_path / "colleague")


def on(workdir: Workdir, **changes) -> dict:
    return copy.deepcopy(SMALL) | {"study": "other", "store": str(workdir.path / "store")} | changes


def test_another_study_with_other_settings_gets_its_own_numbers(workdir: Workdir, colleague: Workdir):
    """Another engine, other mapping samples and regions: the first study's scores are not its own."""
    encoding = [{**SMALL["encoding"][0], "regions": ["V2", "hV4"], "samples": [20]}]
    brainscore = SMALL["brainscore"] | {"engine": "stock"}
    before = artefacts(workdir)
    colleague.write_study(on(workdir, encoding=encoding, brainscore=brainscore, **PACKED))
    plan = colleague.planned()
    assert plan == Counter(brainscore=1, encoding=1, rulegraph=1) + AFTER_SCORES
    colleague.snakemake(OTHER_TABLE)
    table = pd.read_parquet(colleague.path / OTHER_TABLE)
    assert set(table.engine[table.metric == "pls"]) == {"stock"}
    fmri = table[table.metric == "ridge"]
    assert {"V2", "hV4"} == set(fmri.region) and set(fmri.n_mapping) == {20}
    after = artefacts(workdir)
    assert before.items() <= after.items(), "a file of the first study was changed"
    assert workdir.planned() == Counter()
    assert colleague.planned() == AFTER_SCORES - Counter(table=1) + Counter(rulegraph=1)


def test_other_activations_are_extracted_beside_those_that_are_there(workdir, colleague):
    """Another reduction, and another precision and preprocessing."""
    precision = {"dtype": "float16", "normalise": False, "crop": False}
    for changes in ({"reduction": {"kind": "grid", "size": 4}}, {"extraction": precision}):
        colleague.write_study(on(workdir, **changes))
        assert colleague.planned() == Counter(activations=3, brainscore=3, encoding=3, rulegraph=1) + AFTER_SCORES


def read_only(workdir: Workdir, store: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the study with a store that nobody can write to."""
    mount = f'mount --bind {store} {store} && mount -o remount,ro,bind {store} && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", *workdir.command(*arguments)]
    return subprocess.run(command, cwd=workdir.path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_the_same_study_in_another_folder_makes_its_own_files_alone(workdir: Workdir, colleague: Workdir):
    """Whatever the dates of the store: as after a copy without them. Root can make it one that nobody can write to."""
    store = workdir.path / "store"
    touch = ["touch", "-h", "-d", "2001-01-01"]
    subprocess.run(["find", store, "-mindepth", "1", "-exec", *touch, "{}", "+"], check=True)
    colleague.write_study(on(workdir))
    assert colleague.planned() == AFTER_SCORES + Counter(rulegraph=1)
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True)
    if probe.returncode:
        colleague.snakemake(OTHER_TABLE)
    else:
        done = read_only(colleague, store)
        assert done.returncode == 0, done.stdout[-4000:]
        assert (colleague.path / "results/other/report/index.html").is_file()
    mine, theirs = pd.read_parquet(workdir.path / TABLE), pd.read_parquet(colleague.path / OTHER_TABLE)
    pd.testing.assert_frame_equal(mine, theirs)
    if probe.returncode:
        pytest.skip(f"folders can't be mounted read-only here (needs root): {probe.stderr.strip()}")
    what_is_absent_is_made_in_a_store_beside(colleague, store, on(workdir))


def what_is_absent_is_made_in_a_store_beside(colleague: Workdir, store: Path, study: dict) -> None:
    """A start without one is refused."""
    study["brainscore"]["benchmarks"] = ["MajajHong2015public.V4-pls"]
    colleague.write_study(study)
    refused = read_only(colleague, store, "--dry-run")
    assert refused.returncode != 0 and "3 artefacts are to be made" in refused.stdout
    assert "store: [FOLDER" in refused.stdout and "Traceback" not in refused.stdout
    colleague.write_study(study | PACKED | {"store": ["mine", str(store)]})
    beside = read_only(colleague, store, OTHER_TABLE)
    assert beside.returncode == 0, beside.stdout[-4000:]
    made = {path.relative_to(colleague.path / "mine").parts[0] for path in (colleague.path / "mine").rglob("*.json")}
    assert made - {".cache"} == {"scores", "ceilings"}
    assert json.loads(next((colleague.path / "mine/scores").rglob("*.json")).read_text())["checksum"]


def test_weights_of_one_name_in_two_folders_are_two_runs(tmp_path: Path, workdir: Workdir):
    run = next(path for path in (workdir.path / "store/runs").iterdir() if "untrained" in path.name)
    weights = next(run.glob("weights-*.safetensors"))
    trained = next(path for path in (workdir.path / "store/runs").iterdir() if "_digits_1_" in path.name)
    for folder, source in (("wa", weights), ("wb", next(trained.glob("weights-*.safetensors"))), ("wc", weights)):
        (workdir.path / folder).mkdir()
        shutil.copy(source, workdir.path / folder / "resnet_w8.safetensors")
    groups = [{"pretrained": ["resnet_w8"], "weights": folder} for folder in ("wa", "wb", "wc")]
    workdir.write_study({"study": "two", "store": "store", "runs": groups}, "two.yaml")
    listed = told_here(workdir.path, "runs", "two.yaml", "--format", "json")
    assert len({row["run"] for row in json.loads(listed)}) == 2
