"""TVSD and THINGS-fMRI in one study: one stimulus set, names that follow settings, what `check` tells (SIMULATED)."""

import shutil

import pytest

from neuroscaling.cli.deep_checks import deep_problems
from neuroscaling.planning.encoding import SubjectShape, count_stimuli, subject_shape
from neuroscaling.recordings.preparation import prepare_recording
from neuroscaling.study.data_checks import data_faults
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.recordings import encoding_jobs
from neuroscaling.study.sections.whole_study import Study
from tests.support.simulated_things import ThingsSettings, write_things

FEW = ThingsSettings(concepts=6, exemplars=4, known=5, repetitions=(3, 2), people=("sub-01", "sub-02"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("things")
    write_things(folder, FEW)
    return folder


def tvsd(root, **entry):
    return {"source": "tvsd", "data": {"local": str(root / "tvsd")}, "images": str(root / "things")} | entry


def fmri(root, **entry):
    return {
        "source": "things_fmri",
        "data": {"local": str(root / "things_fmri")},
        "images": str(root / "things"),
    } | entry


def study(folder, *entries):
    base = {"study": "things", "runs": [{"baselines": ["pixels"]}], "store": str(folder), "encoding": list(entries)}
    return LoadedStudy(folder / "things.yaml", Study.model_validate(base))


def told(loaded):
    return "\n".join(f"{fault.location}: {fault.problem}" for fault in data_faults(loaded.config))


def test_monkeys_and_people_share_one_stimulus_set(root, tmp_path):
    loaded = study(tmp_path, tvsd(root), fmri(root))
    jobs = encoding_jobs(loaded)
    assert [job.benchmark for job in jobs] == [
        "tvsd-monkeyF", "tvsd-monkeyN", "things_fmri-sub-01", "things_fmri-sub-02",
    ]  # fmt: skip
    assert len({job.stimuli.name for job in jobs}) == 1
    assert count_stimuli(loaded, jobs[0].stimuli) == 30
    alone = encoding_jobs(study(tmp_path, fmri(root)))
    assert alone[0].stimuli.name != jobs[0].stimuli.name and count_stimuli(loaded, alone[0].stimuli) == 25
    turned = encoding_jobs(study(tmp_path, fmri(root), tvsd(root)))
    assert turned[0].stimuli.name == jobs[0].stimuli.name
    shutil.copytree(root, tmp_path / "elsewhere")
    moved = encoding_jobs(study(tmp_path, tvsd(tmp_path / "elsewhere"), fmri(tmp_path / "elsewhere")))
    assert [job.stimuli.name for job in moved] == [job.stimuli.name for job in jobs]
    assert [job.data for job in moved] == [job.data for job in jobs]


def test_settings_name_the_recordings(root, tmp_path):
    def data(entry):
        return encoding_jobs(study(tmp_path, entry))[0].data

    names = [data(tvsd(root)), data(tvsd(root, reliability=0.3)), data(fmri(root)), data(fmri(root, voxels="all"))]
    names += [data(fmri(root, zscore="session")), data(fmri(root, voxels=["V1"]))]
    assert len(set(names)) == 6
    assert data(tvsd(root, samples=[10])) == names[0]


def test_sizes_are_known_before_and_after_the_recordings_are_prepared(root, tmp_path):
    loaded = study(tmp_path, tvsd(root), fmri(root))
    jobs = encoding_jobs(loaded)
    assert subject_shape(loaded, jobs[0]) == SubjectShape(24, 6, 1024)
    assert (subject_shape(loaded, jobs[2]).training, subject_shape(loaded, jobs[2]).test) == (20, 5)
    prepare_recording(jobs[2].preparation)
    assert subject_shape(loaded, jobs[2]) == SubjectShape(20, 5, 60)


def test_a_sound_study_has_no_problem_and_sizes_above_the_images_do(root, tmp_path):
    assert told(study(tmp_path, tvsd(root), fmri(root))) == ""
    assert deep_problems(study(tmp_path, tvsd(root, samples=[10]), fmri(root, samples=[10]))) == []
    text = "\n".join(map(str, deep_problems(study(tmp_path, tvsd(root, samples=[10, 25]), fmri(root, samples=[20])))))
    assert "encoding[0].samples: more mapping images than the subject has" in text and "monkeyF: at most 24" in text
    assert "sub-01" not in text


def test_what_is_missing_is_told_at_once(root, tmp_path):
    shutil.copytree(root, tmp_path / "other")
    (tmp_path / "other/tvsd/monkeyF/THINGS_normMUA.mat").unlink()
    shutil.rmtree(tmp_path / "other/things_fmri/betas_csv")
    text = told(study(tmp_path, tvsd(tmp_path / "other", subjects=["monkeyF", "monkyN"]), fmri(tmp_path / "other")))
    assert "('encoding', 0, 'data')" in text and "monkeyF/THINGS_normMUA.mat: file is missing" in text
    assert "('encoding', 0, 'subjects')" in text and "nearest:  monkeyN" in text
    assert "('encoding', 1, 'data')" in text and "no subject here" in text
    text = told(study(tmp_path, tvsd(root), fmri(root, images=str(tmp_path / "nowhere"))))
    assert "('encoding', 0, 'regions', 1)" in told(study(tmp_path, tvsd(root, regions=["V1", "hV4"])))
    assert told(study(tmp_path, fmri(root, regions=["hV4", "glasser-FFC"], voxels=["hV4", "glasser-FFC"]))) == ""
    assert "no such region" in told(study(tmp_path, fmri(root, regions=["glasser-FFC"])))
    assert "folder of THINGS' images is missing or empty" in text
    assert "one study has one folder of THINGS" in text and "encoding[0]" in text


def test_damaged_files_are_told_before_the_first_job(root, tmp_path):
    shutil.copytree(root, tmp_path / "other")
    (tmp_path / "other/things_fmri/betas_csv/sub-02_ResponseData.h5").write_bytes(b"no HDF5")
    text = "\n".join(map(str, deep_problems(study(tmp_path, fmri(tmp_path / "other", samples=[10])))))
    assert "sub-02_ResponseData.h5" in text
