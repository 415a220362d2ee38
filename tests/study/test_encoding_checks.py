"""What a study's entry for fMRI can't be: said before anything runs."""

from pathlib import Path

import pytest

from neuroscaling.cli.deep_checks import deep_problems
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.name_checks import name_faults
from neuroscaling.study.recording_checks import fmri_problems, size_problems, v4_faults
from neuroscaling.study.recordings import encoding_jobs
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.study.sections.yaml_document import Document
from tests.recordings.test_algonauts import write_tree
from tests.support.simulated_nsd import NsdSettings, write_nsd_tree
from tests.support.simulated_nsd_synthetic import add_nsd_synthetic


def study(entry, **changes):
    base = {"study": "checks", "runs": [{"untrained": ["resnet_w8"]}], "encoding": [entry]}
    return Study.model_validate(base | changes)


def found(entry, **changes):
    config = study(entry, **changes)
    return "\n".join(str(problem) for _, problem in fmri_problems(config, config.encoding[0]))


def tree(root, **entry):
    return {"source": "algonauts2023", "data": {"local": str(root)}} | entry


@pytest.fixture
def root(tmp_path):
    return write_tree(tmp_path, ("subj01",), train=60)


def test_a_sound_entry_has_no_problem(root):
    assert found(tree(root, samples=[10, 60, "all"])) == ""
    assert found(tree(root, samples=[10, "all"], evaluate="validation", validation=20)) == ""


def test_sizes_and_equalised_numbers_above_what_a_subject_has(root):
    assert "at most 60" in found(tree(root, samples=[10, 61]))
    text = found(tree(root, samples=[50], evaluate="validation", validation=20))
    assert "more mapping images than the subject has" in text and "subj01: at most 40 beside 20 held out" in text
    assert "more training images than the subject has" in found(tree(root, equalise=61))


def test_sizes_are_checked_for_every_subject(root):
    (entry,) = study(tree(root, samples=[40])).encoding
    where = [problem.allowed for _, problem in size_problems(entry, {"subj01": 60, "subj02": 30})]
    assert where == ["subj02: at most 30"]


def test_withheld_responses_are_told_with_both_ways_on(root):
    for file in (root / "subj01/test_split/test_fmri").iterdir():
        file.unlink()
    text = found(tree(root))
    assert "withheld" in text and "evaluate: validation" in text and "docs/nsd.md" in text
    assert found(tree(root, evaluate="validation", validation=20)) == ""


def test_inner_products_cannot_be_standardised_and_brain_score_has_one_grid(root):
    assert "can't be standardised" in found(tree(root, ridge={"features": "standardise"}), extraction={"keep": "gram"})
    brainscore = {"data": {"local": "there"}, "benchmarks": ["MajajHong2015public.IT-pls"]}
    reduction = {"kind": "max", "sizes": [1, 2]}
    assert "of one grid" in found(tree(root), reduction=reduction, brainscore=brainscore)


def test_a_submission_of_networks_that_the_study_does_not_have(root):
    entry = tree(root, submissions={"one": {"archs": ["resnet_w9"]}})
    content = {"runs": [{"untrained": ["resnet_w8"]}], "encoding": [entry]}
    (fault,) = name_faults(Document("s.yaml", content), Path("s.yaml"))
    assert fault.location == ("encoding", 0, "submissions", "one", "archs", 0) and fault.problem.nearest == "resnet_w8"


def test_simulated_subjects_and_their_sizes():
    simulated = {"simulated": {"b": {"algonauts_subjects": 2, "algonauts_train": 200}}}
    entry = {"source": "algonauts2023", "data": {"simulated": "b"}}
    assert found(entry | {"samples": [10, 100, "all"]}, **simulated) == ""
    text = found(entry | {"subjects": ["subj01", "subj03"], "samples": [300]}, **simulated)
    assert "no such subject" in text and "subj03" in text and "more mapping images than the subject has" in text


def test_nsd_without_the_space_or_the_subject(tmp_path):
    nsd = write_nsd_tree(tmp_path, NsdSettings(sessions=(("subj01", 40),), spaces=("func1pt8mm",)))
    entry = {"source": "nsd", "data": {"local": str(nsd)}, "space": "func1pt8mm"}
    assert found(entry) == ""
    assert "no scan session of this space" in found(entry | {"space": "fsaverage"})
    assert "nearest:  subj01" in found(entry | {"subjects": ["subj1"]})
    assert "no subject of NSD here" in found(entry | {"data": {"local": str(tmp_path)}})


def test_nsd_synthetic_is_a_further_test_set_that_needs_its_own_files(tmp_path):
    nsd = write_nsd_tree(tmp_path, NsdSettings(sessions=(("subj01", 2), ("subj02", 2)), spaces=("nativesurface",)))
    entry = {"source": "nsd", "data": {"local": str(nsd)}, "space": "nativesurface"}
    both = entry | {"test": ["shared1000", "nsd_synthetic"]}
    text = found(both)
    files = ("nsdsynthetic_expdesign.mat", "nsdsynthetic_colorstimuli_subj02.hdf5", "lh.betas_nsdsynthetic.hdf5")
    assert text.count("a file of NSD-synthetic is missing") == 2 + 2 + 4 and all(file in text for file in files)
    assert "subj02" not in found(both | {"subjects": ["subj01"]}).replace(str(tmp_path), "")
    before = encoding_jobs(LoadedStudy(tmp_path / "checks.yaml", study(entry)))
    add_nsd_synthetic(tmp_path)
    assert found(both) == ""
    after = encoding_jobs(LoadedStudy(tmp_path / "checks.yaml", study(entry)))
    assert [job.data for job in before] == [job.data for job in after], "files that aren't used name nothing"
    jobs = encoding_jobs(LoadedStudy(tmp_path / "checks.yaml", study(both)))
    assert jobs[0].data != after[0].data and jobs[0].preparation.tests == ("shared1000", "nsd_synthetic")
    (source,) = jobs[0].stimuli.sources
    assert source.synthetic and len({job.stimuli.name for job in jobs}) == 1


@pytest.mark.parametrize("test", ["nsd_synthetic", ["nsd_synthetic"], ["shared1000", "challenge"]])
def test_one_test_set_of_nsd_is_its_own(test):
    with pytest.raises(ValueError, match="names either shared1000 or challenge"):
        study({"source": "nsd", "data": {"local": "there"}, "test": test})


def test_too_little_memory_for_the_inner_products_of_a_real_subject(tmp_path):
    entry = tree(tmp_path / "later", subjects=["subj01"], ridge={"memory_mb": 1000})
    config = study(entry, extraction={"keep": "gram"})
    (problem,) = deep_problems(LoadedStudy(tmp_path / "checks.yaml", config))
    assert "9841 mapping images need" in problem.what and "memory_mb" in problem.fix


def v4_folder(path, *sessions):
    for folder, name in (("images", "images_{}.zip"), ("responses_repeat_averaged", "responses_{}.npy")):
        (path / folder).mkdir(parents=True)
        for session in sessions:
            (path / folder / name.format(session)).touch()
    return path


def v4_found(*folders, sessions=("190923",)):
    """Problems of a study whose `encoding` and whose `brainscore` name these folders (None for neither)."""
    encoding, brainscore = ({"local_dir": str(folder)} if folder else {} for folder in folders)
    defined = {"region": "V4", "metric": "pls", "degrees": 11.2}
    defined |= {"assembly": "190923/assembly.nc", "stimuli": "190923/stimuli.csv", "images": "190923/images"}
    own = {"data": {"v4": list(sessions)} | brainscore, "define": {"mine": defined}, "benchmarks": ["mine"]}
    config = study({"source": "v4", "sessions": list(sessions)} | encoding, brainscore=own)
    return [str(problem) for problem in Document("study.yaml", {}).problems(v4_faults(config))]


def test_v4_recordings_of_two_folders_are_refused_with_both(tmp_path):
    one, other = (v4_folder(tmp_path / name, "190923") for name in ("one", "other"))
    (problem,) = v4_found(one, other)
    assert "in two folders" in problem and str(one) in problem and str(other) in problem
    assert "study.yaml: brainscore.data.local_dir" in problem and "encoding[0]" in problem
    (tmp_path / "link").symlink_to(one)
    assert v4_found(one, one) == v4_found(one, tmp_path / "link") == v4_found(None, None) == []


@pytest.mark.parametrize("folders", [("one", None), (None, "one"), ("one", "one")])
def test_v4_sessions_that_the_one_folder_lacks_are_told_for_each_entry(tmp_path, folders):
    folder = v4_folder(tmp_path / "one", "190923")
    folders = [folder if name else None for name in folders]
    assert v4_found(*folders) == []
    problems = v4_found(*folders, sessions=("190924",))
    assert ["unknown session" in problem and "nearest:  190923" in problem for problem in problems] == [True, True]
    assert "encoding[0].sessions" in problems[0] and "brainscore.data.v4" in problems[1]
    (problem,) = v4_found(*(folder and tmp_path / "nowhere" for folder in folders))
    assert "folder is missing" in problem and "local_dir" in problem
