"""Simulated brains: what they are made of is what is stored, whole, and the same for the same settings."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.hashing import ArtefactName, file_sha256
from neuroscaling.core.records import write_record
from neuroscaling.datasets.format_digits import load_digits
from neuroscaling.simulate.brain import simulate_brain
from neuroscaling.simulate.features import draw_tuning
from neuroscaling.simulate.fmri import noise_ceiling
from neuroscaling.simulate.images import balanced_order, phase_scrambled
from neuroscaling.simulate.record import brain_of, check_simulated
from neuroscaling.study.recording_jobs import BrainJob
from neuroscaling.study.sections.simulated_brains import BrainSettings

SMALL = BrainSettings(
    stimuli=100, neuroids_per_region=4, repetitions=2, algonauts_train=30, algonauts_test=12, vertices=40
)


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "brain"
    simulate_brain(BrainJob(folder, SMALL))
    return folder


def _checksums(folder: Path) -> dict[str, str]:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    return {name: stated["sha256"] for name, stated in files.items()}


def test_same_settings_give_the_same_arrays_and_another_seed_others(brain: Path, tmp_path: Path):
    simulate_brain(BrainJob(tmp_path / "again", SMALL))
    simulate_brain(BrainJob(tmp_path / "other", replace(SMALL, seed=1)))
    assert _checksums(tmp_path / "again") == _checksums(brain)
    differing = {name for name, sha in _checksums(tmp_path / "other").items() if _checksums(brain).get(name) != sha}
    assert {"brainscore/assy_dicarlo_MajajHong2015_public.nc", "truth/MajajHong2015.public-IT.npz"} <= differing


def test_everything_says_simulated_and_matches_its_checksum(brain: Path):
    manifest = json.loads((brain / "manifest.json").read_text())
    assert manifest["simulated"] is True and manifest["settings"]["stimuli"] == 100
    assert "SIMULATED" in (brain / "README.md").read_text()
    files = {p.relative_to(brain).as_posix() for p in brain.rglob("*") if p.is_file()} - {"manifest.json"}
    assert files == set(_checksums(brain))
    assert all(file_sha256(brain / name) == sha for name, sha in _checksums(brain).items())
    assert check_simulated(brain) == manifest


def test_an_altered_file_of_a_brain_is_refused_by_who_reads_it(brain: Path, tmp_path: Path):
    copy, name = tmp_path / "brain", "brainscore/assy_dicarlo_MajajHong2015_public.nc"
    shutil.copytree(brain, copy)
    content = bytearray((copy / name).read_bytes())
    content[-1] ^= 1
    (copy / name).write_bytes(content)
    assert brain_of(copy / name) == copy and brain_of(tmp_path) is None
    check_simulated(copy, [copy / "README.md"])
    with pytest.raises(DataError, match="altered, by its sha256") as raised:
        check_simulated(copy, [copy / name])
    assert _checksums(brain)[name] in str(raised.value) and file_sha256(copy / name) in str(raised.value)
    (copy / name).write_bytes(content[:-1])
    with pytest.raises(DataError, match="by its size"):
        check_simulated(copy)
    (copy / name).unlink()
    with pytest.raises(DataError, match="is missing"):
        check_simulated(copy)
    (copy / "brainscore" / "more.csv").write_text("")
    with pytest.raises(DataError, match="does not have"):
        check_simulated(copy, ["brainscore/more.csv"])


def test_the_record_of_a_brain_states_its_definition_and_no_flip_is_read(brain: Path, tmp_path: Path):
    definition = {"settings": SMALL.to_dict()}
    folder = tmp_path / str(ArtefactName("brain", definition))
    path = folder / "manifest.json"
    folder.mkdir()
    record = json.loads((brain / "manifest.json").read_text())
    (folder / "truth").mkdir()
    shutil.copy(brain / "truth" / "README.md", folder / "truth")
    write_record(
        path, record | {"definition": definition, "files": {"truth/README.md": record["files"]["truth/README.md"]}}
    )
    content, whole = path.read_bytes(), check_simulated(folder)
    for at in range(0, len(content), 5):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        try:
            assert check_simulated(folder) == whole, at
        except DataError:
            assert brain_of(folder) == folder  # it is not taken for a real one
    path.write_bytes(content)
    folder.rename(tmp_path / "brain-00000000")
    with pytest.raises(DataError, match="another artefact"):
        check_simulated(tmp_path / "brain-00000000")


def test_a_brain_that_is_there_is_left_as_it_is(brain: Path):
    before = (brain / "manifest.json").read_bytes()
    assert simulate_brain(BrainJob(brain, SMALL)) == brain / "manifest.json"
    assert (brain / "manifest.json").read_bytes() == before


def test_images_are_of_the_validation_split(brain: Path):
    validation = set(load_digits("validation")[2])
    shown = [p.stem.split("-", 1)[1] for p in (brain / "brainscore" / "stimulus_hvm-public").iterdir()]
    assert len(shown) == 100 and set(shown) <= validation


def test_recordings_have_brain_scores_shape(brain: Path):
    import xarray as xr

    textures = xr.load_dataarray(brain / "brainscore" / "assy_movshon_FreemanZiemba2013_public.nc")
    assert textures.dims == ("presentation", "neuroid", "time_bin") and textures.shape == (200, 8, 150)
    assert {c for c in textures.coords if textures[c].dims == ("neuroid",)} == {"region", "neuroid_id"}
    assert (textures.time_bin_start.values[0], textures.time_bin_end.values[-1]) == (50, 200)
    objects = xr.load_dataarray(brain / "brainscore" / "assy_dicarlo_MajajHong2015_public.nc")
    assert objects.shape == (200, 8, 1) and set(objects.region.values) == {"V4", "IT"}
    assert (objects.values >= -20).all() and np.isfinite(objects.values).all()


def test_responses_are_the_truth_plus_noise_of_the_stated_reliability(brain: Path):
    import xarray as xr

    truth = np.load(brain / "truth" / "MajajHong2015.public-IT.npz")
    objects = xr.load_dataarray(brain / "brainscore" / "assy_dicarlo_MajajHong2015_public.nc")
    mean = objects.values[:, objects.region == "IT", 0].reshape(2, 100, -1).mean(0)
    found = [np.corrcoef(mean[:, i], truth["clean"][:, i])[0, 1] ** 2 for i in range(mean.shape[1])]
    assert np.abs(found - truth["reliability"]).max() < 0.15


def test_tuning_noise_has_the_variance_that_the_reliability_asks_for():
    rng = np.random.default_rng(0)
    tuning = draw_tuning("V1", 30, 5, rng, (0.3, 0.9))
    clean = tuning.clean(rng.standard_normal((4000, 30)))
    mean = tuning.repetitions(clean, 4, rng).mean(0)
    assert np.allclose(clean.var(0) / mean.var(0), tuning.reliability, atol=0.05)


def test_choices_follow_the_evidence(brain: Path):
    import xarray as xr

    truth = np.load(brain / "truth" / "Rajalingham2018.public.npz")
    choices = xr.load_dataarray(brain / "brainscore" / "assy_dicarlo_Rajalingham2018_public.nc")
    right = choices.values == choices.truth.values
    assert abs(right.mean() - np.nanmean(truth["clean"])) < 0.02
    likely = dict(zip(truth["stimulus_ids"].tolist(), np.nanmean(truth["clean"], 1), strict=True))
    expected = np.array([likely[s] for s in choices.stimulus_id.values])
    assert right[expected > 0.8].mean() > right[expected < 0.6].mean() + 0.2


def test_subjects_have_the_challenges_layout_and_differ(brain: Path):
    first, second = brain / "algonauts2023" / "subj01", brain / "algonauts2023" / "subj02"
    images = sorted((first / "training_split" / "training_images").iterdir())
    assert (
        len(images) == 30 and images[0].name.startswith("train-0001_nsd-") and Image.open(images[0]).size == (425, 425)
    )
    ids = [int(p.stem.split("nsd-")[1]) for p in images]
    assert ids == sorted(ids)
    for subject, shape in ((first, (30, 40)), (second, (27, 36))):
        fmri = np.load(subject / "training_split" / "training_fmri" / "lh_training_fmri.npy")
        ceiling = np.load(subject / "test_split" / "noise_ceiling" / "lh_noise_ceiling.npy")
        mask = np.load(subject / "roi_masks" / "lh.streams_challenge_space.npy")
        whole = np.load(subject / "roi_masks" / "lh.all-vertices_fsaverage_space.npy")
        assert fmri.shape == shape and fmri.dtype == np.float32
        assert whole.shape == (163842,) and whole.sum() == shape[1] == len(mask)
        assert ceiling.min() >= 0 and ceiling.max() <= 1
    mapping = np.load(first / "roi_masks" / "mapping_streams.npy", allow_pickle=True).item()
    assert mapping[0] == "Unknown" and mapping[5] == "ventral"
    broken = np.isnan(np.load(second / "training_split" / "training_fmri" / "lh_training_fmri.npy"))
    assert broken.all(0).sum() == 1 and broken.sum() == 27


def test_noise_ceiling_finds_the_share_of_signal():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((3000, 2)) * [1.0, 0.0]
    trials = signal + rng.standard_normal((3, 3000, 2))
    assert np.allclose(noise_ceiling(trials), [0.75, 0.0], atol=0.03)


def test_phase_scrambling_keeps_the_spectrum_of_an_image():
    rng = np.random.default_rng(0)
    images = np.clip(128 + 10 * rng.standard_normal((3, 32, 32)), 0, 255).astype(np.uint8)
    before, after = (np.abs(np.fft.fft2(x.astype(float))) for x in (images, phase_scrambled(images, rng)))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.99
    assert not np.array_equal(images, phase_scrambled(images, rng))


def test_every_beginning_is_balanced():
    labels = load_digits("validation")[1]
    order = balanced_order(labels, np.random.default_rng(0))
    assert sorted(order) == list(range(len(labels)))
    assert np.ptp(np.bincount(labels[order[:104]])) <= 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"stimuli": 20, "vertices": 3}, ["simulated: stimuli", "from 100 to 360", "simulated: vertices"]),
        ({"algonauts_train": 300, "algonauts_test": 200}, ["500", "at most 360"]),
        ({"repetitions": 2.5}, ["repetitions", "2.5"]),
    ],
)
def test_bad_settings_are_named_and_nothing_is_written(settings: dict, words: list[str], tmp_path: Path):
    with pytest.raises(StudyError) as error:
        simulate_brain(BrainJob(tmp_path / "brain", BrainSettings(**settings)))
    assert all(word in str(error.value) for word in words)
    assert list(tmp_path.iterdir()) == []


def test_defaults_are_those_of_the_study_file():
    from neuroscaling.study.sections.recordings import SimulatedBrain

    ours = BrainSettings().to_dict()
    theirs = SimulatedBrain().model_dump()
    assert {key: ours[key] for key in theirs} == theirs
