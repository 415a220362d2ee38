"""Subjects and fits of an encoding, as they are counted before anything is computed."""

from dataclasses import replace

import numpy as np

from neuroscaling.planning.encoding import RidgeFit, SubjectShape, fits_of, subject_shape
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.recordings import encoding_jobs
from neuroscaling.study.sections.encoding import AlgonautsEncoding


def entry(**values):
    return AlgonautsEncoding.model_validate({"source": "algonauts2023", "data": {"local": "x"}} | values)


def test_fits_are_those_of_the_mapping_sizes_and_of_a_submission():
    shape = SubjectShape(9841, 159, 39548)
    assert fits_of(entry(), "corrected", shape) == [RidgeFit(9841, 159, 1)]
    held_out = entry(samples=[10, 9000, "all"], repeats=2, evaluate="validation", validation=877, equalise=8779)
    assert fits_of(held_out, "corrected", shape) == [RidgeFit(10, 877, 2), RidgeFit(7902, 877, 2)]
    sent = entry(submissions={"a": {}})
    assert fits_of(sent, "corrected", shape) == [RidgeFit(9841, 159, 1), RidgeFit(9841, 159, 1)]


def test_subjects_are_counted_in_a_tree_and_known_by_the_challenge(tmp_path):
    folder = tmp_path / "subj03"
    for split, n in (("training", 7), ("test", 3)):
        (folder / f"{split}_split" / f"{split}_images").mkdir(parents=True)
        (folder / f"{split}_split" / f"{split}_fmri").mkdir(parents=True)
        for i in range(n):
            name = f"{split.replace('training', 'train')}-{i + 1:04d}_nsd-{i:05d}.png"
            (folder / f"{split}_split" / f"{split}_images" / name).touch()
    (tmp_path / "subj08").mkdir()
    for side, n in (("lh", 11), ("rh", 13)):
        np.save(folder / "training_split" / "training_fmri" / f"{side}_training_fmri.npy", np.zeros((7, n), np.float32))
    one = tmp_path / "one.yaml"
    one.write_text(
        f"study: one\nstore: {tmp_path}/store\nruns: [{{untrained: [resnet_w8]}}]\n"
        "simulated:\n  two: {algonauts_subjects: 1, algonauts_train: 60, algonauts_test: 12, vertices: 30}\n"
        "encoding:\n  - {source: algonauts2023, data: {simulated: two}}\n"
    )
    loaded = load_study(one)
    (job,) = encoding_jobs(loaded)
    assert subject_shape(loaded, job) == SubjectShape(60, 12, 60)
    local = [_moved(job, tmp_path, subject) for subject in ("subj03", "subj08", "subj09")]
    found = [subject_shape(loaded, one) for one in local]
    assert found == [SubjectShape(7, 3, 24), SubjectShape(8779, 395, 39511), None]


def _moved(job, root, subject):
    return replace(job, entry=entry(), folder=root, subject=subject)
