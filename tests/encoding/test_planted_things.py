"""SIMULATED monkeys and people who saw the same images: one store of activations finds what each area follows."""

import json

import numpy as np
import pyarrow.parquet
import pytest

from neuroscaling.activations.zarr_writing import write_store
from neuroscaling.core.hashing import ArtefactName
from neuroscaling.core.score_table import build_table, write_table
from neuroscaling.encoding.encoding_job import score_encodings
from neuroscaling.laws.study_fit import write_fit
from neuroscaling.recordings.preparation import prepare_recording
from neuroscaling.study.jobs import ScoreJob
from neuroscaling.study.preparation_jobs import ThingsFmriJob, TvsdJob
from neuroscaling.study.recordings import LocatedSubject
from neuroscaling.study.sections.encoding import ThingsFmriEncoding, TvsdEncoding
from neuroscaling.study.sections.fit_files import FitFile, expand_fits
from tests.support.run_records import run_content, write_run
from tests.support.simulated_things import STAGE, ThingsSettings, write_things

FULL = ThingsSettings(concepts=24, exemplars=12, known=20, people=("sub-01",), repetitions=(10, 6))
RUN = "network-00000000"
TVSD = {"source": "tvsd", "data": {"local": "tvsd"}, "images": "things", "draws": 5}
FMRI = {"source": "things_fmri", "data": {"local": "things_fmri"}, "images": "things", "draws": 5}


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Score files of both monkeys and of a person, by benchmark."""
    root = tmp_path_factory.mktemp("things")
    pictures = write_things(root, FULL)
    rng = np.random.default_rng(0)
    layers = {stage: pictures.features[stage].astype(np.float32) for stage in ("early", "middle", "late")}
    layers["noise"] = rng.standard_normal((len(pictures.ids), 20)).astype(np.float32)
    activations = root / "activations" / RUN / "set.json"
    write_store(activations, pictures.ids, [layers], reduction={})
    tvsd = TvsdEncoding.model_validate(TVSD | {"samples": [12, 24, 48, 96, "all"]})
    fmri = ThingsFmriEncoding.model_validate(FMRI | {"samples": ["all"]})
    jobs = [TvsdJob(root / "tvsd", monkey, root / "prepared" / monkey) for monkey in FULL.monkeys]
    jobs.append(ThingsFmriJob(root / "things_fmri", "sub-01", root / "prepared" / "sub-01", zscore="session"))
    files = {}
    for job in jobs:
        prepare_recording(job)
        entry = fmri if isinstance(job, ThingsFmriJob) else tvsd
        benchmark, definition = f"{entry.source}-{job.subject}", {"of": job.subject}
        path = root / "scores" / str(ArtefactName(benchmark, definition)) / f"{RUN}.json"
        score = ScoreJob(path, RUN, path.parent, entry.source, benchmark, "set", activations, definition)
        place = LocatedSubject(job.folder, "recording", job.subject)
        score_encodings([score], entry, {benchmark: place}, "corrected")
        files[benchmark] = path
    return root, files


def targets(path):
    return pyarrow.parquet.read_table(path.with_name(f"{RUN}.targets.parquet")).to_pandas()


@pytest.mark.parametrize("benchmark", ["tvsd-monkeyF", "tvsd-monkeyN", "things_fmri-sub-01"])
def test_the_planted_layer_of_each_area_is_found(scored, benchmark):
    path = scored[1][benchmark]
    content = json.loads(path.read_text())
    assert content["simulated"] is True
    rows = {
        row["region"]: row
        for row in content["rows"]
        if row["n_mapping"] == max(r["n_mapping"] for r in content["rows"])
    }
    rows.pop("all-vertices", None)
    assert {"V1", "IT"} < rows.keys()
    for region, row in rows.items():
        assert row["layer"] == STAGE.get(region, "late"), region
        # What is planted is explained: the layer holds the features themselves.
        assert 0.65 < row["score"] < 1.2, region
    found = targets(path)
    found = found[(found.n_mapping == found.n_mapping.max()) & (found.regions != "all-vertices")]
    planted = np.array([STAGE.get(regions.split("|")[0], "late") for regions in found.regions])
    assert (found.layer.to_numpy() == planted).mean() > 0.95


def test_laws_over_mapping_images_come_out(scored):
    root, files = scored
    run = write_run(root / "runs" / f"{RUN}.json", run_content(RUN))
    write_table(root / "scores.parquet", build_table(files.values(), [run]))
    law = {
        "name": "monkeys", "forms": ["sqrt_saturating", "log_linear"], "x": "n_mapping", "y": "raw",
        "filters": {"benchmark": "tvsd", "metric": "ridge"}, "group_by": ["run", "subject", "n_mapping"],
        "by": {"region": ["V1", "V4", "IT"]}, "cluster": ["subject"], "bootstraps": 10, "holdout": "largest",
    }  # fmt: skip
    for job in expand_fits(FitFile.model_validate({"fits": [law]})):
        path = root / "fits" / f"{job.name}.json"
        write_fit(root / "scores.parquet", job.settings, path, path.with_suffix(".parquet"))
        fit = json.loads(path.read_text())
        assert (fit["status"], fit["n"], fit["simulated"]) == ("fitted", 10, True)
        forms = {one["form"]: one for one in fit["compared"]}
        assert forms["sqrt_saturating"]["loss"] < forms["log_linear"]["loss"]
