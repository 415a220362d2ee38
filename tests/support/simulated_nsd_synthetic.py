"""SIMULATED NSD-synthetic, added to a simulated tree of NSD: the same planted neurons, other images.

Numbers of images and trials are the real ones (284 and 744, 80 of them a repetition of the trial before); the canvas is
22 pixels wide and as high as NSD's simulated images, and what lies beside its middle square is noise that no response
follows. A target that NSD's own sessions have is lost in this one: `lost` in the truth.
"""

from pathlib import Path

import h5py
import numpy as np

from neuroscaling.core.files import read_json
from tests.support.simulated_nsd import image_features, save_hdf5, save_mgh, save_nifti

COMMON, OWN = 220, 64
REPETITIONS = {2: 236, 4: 32, 8: 8, 10: 8}
"""Images by how often they were shown."""
ONE_BACK = 80
MARGIN = 5
PREPARATION = "nsdsyntheticbetas_fithrf_GLMdenoise_RR"


def add_nsd_synthetic(root: str | Path, seed: int = 0, nifti: bool = False) -> np.ndarray:
    """Add the session to what `write_nsd_tree` wrote to `root`; returns the number (from 1) of each trial's image.

    nifti: whether volumes are nii.gz. truth/<subject>-<space>-<part>-synthetic.npz gets `lost` (a flat number in the
    space) and `ceiling` (targets,) of the averages.
    """
    root, rng = Path(root), np.random.default_rng(seed)
    tree = root / "nsd"
    with h5py.File(tree / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5") as file:
        photographs = image_features(file["imgBrick"][:])
        size = file["imgBrick"].shape[1]
    order = _order(rng)
    _write_order(tree, order)
    folder = tree / "nsddata_stimuli/stimuli/nsdsynthetic"
    folder.mkdir(parents=True)
    common = _draw_images(COMMON, size, rng)
    _save_images(folder / "nsdsynthetic_stimuli.hdf5", common)
    for subject in read_json(root / "manifest.json")["sessions"]:
        own = _draw_images(OWN, size, rng)
        _save_images(folder / f"nsdsynthetic_colorstimuli_{subject}.hdf5", own)
        features = (image_features(np.concatenate([common, own])) - photographs.mean(0)) / photographs.std(0)
        known = (photographs - photographs.mean(0)) / photographs.std(0)
        for truth in sorted((root / "truth").glob(f"{subject}-*-*.npz")):
            if "challenge" not in truth.name:
                _add_part(tree, truth, features, known, order, nifti, rng)
    return order


def _order(rng: np.random.Generator) -> np.ndarray:
    """Numbers of images (744,): every image as often as `REPETITIONS` says, 80 straight behind themselves."""
    counts = rng.permutation(np.repeat(list(REPETITIONS), list(REPETITIONS.values())))
    again = rng.choice(len(counts), ONE_BACK, replace=False)
    regular = counts.copy()
    regular[again] -= 1
    sequence = rng.permutation(np.repeat(np.arange(len(counts)), regular)).tolist()
    for image in again:
        place = sequence.index(image)
        sequence.insert(place, int(image))
    return np.array(sequence) + 1


def _draw_images(n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Pixels (n, size, size, 3) as networks are meant to see them: saturated halves, unlike NSD's simulated images."""
    tint = rng.uniform(0, 255, (n, 1, 2, 3))
    noise = rng.normal(0, 30, (n, size, size, 3))
    return np.clip(tint[:, :, np.arange(size) * 2 // size] + noise, 0, 255).astype(np.uint8)


def _save_images(path: Path, pixels: np.ndarray) -> None:
    """As the files have them: squared, in the middle of the canvas."""
    n, size = pixels.shape[:2]
    canvas = np.random.default_rng(n).integers(0, 256, (n, size, size + 2 * MARGIN, 3)).astype(np.uint8)
    canvas[:, :, MARGIN : MARGIN + size] = np.ceil(pixels.astype(float) ** 2 / 255)
    save_hdf5(path, canvas, (1, *canvas.shape[1:]), "imgBrick")


def _write_order(tree: Path, order: np.ndarray) -> None:
    from scipy.io import savemat

    folder = tree / "nsddata/experiments/nsdsynthetic"
    folder.mkdir(parents=True)
    savemat(folder / "nsdsynthetic_expdesign.mat", {"masterordering": order[None].astype(np.float64)})


def _add_part(
    tree: Path,
    truth: Path,
    features: np.ndarray,
    photographs: np.ndarray,
    order: np.ndarray,
    nifti: bool,
    rng: np.random.Generator,
) -> None:
    subject, space, part = truth.stem.split("-")
    planted = np.load(truth)
    share = planted["ncsnr"] ** 2 / (1 + planted["ncsnr"] ** 2)
    signal = np.sqrt(share) * (features @ planted["weights"]) / (photographs @ planted["weights"]).std(0)
    noise = np.sqrt(1 - share) * rng.standard_normal((len(order), len(share)))
    grid = planted["nsdgeneral"].shape
    general = np.setdiff1d(np.flatnonzero(planted["nsdgeneral"].ravel() > 0), planted["broken"])
    betas = 0.4 + 2 * (signal[order - 1] + noise)
    betas[:, general[3]] = np.nan if space == "fsaverage" else 0
    folder = tree / "nsddata_betas/ppdata" / subject / space / PREPARATION
    folder.mkdir(parents=True, exist_ok=True)
    scaled = np.round(300 * betas) if space != "fsaverage" else betas
    if space == "fsaverage":
        save_mgh(folder / f"{part}.betas_nsdsynthetic.mgh", scaled.T[:, None, None, :])
    elif space == "nativesurface":
        save_hdf5(folder / f"{part}.betas_nsdsynthetic.hdf5", scaled.astype(np.int16), (len(order), 1))
    elif nifti:
        save_nifti(folder / "betas_nsdsynthetic.nii.gz", scaled.astype(np.int16).T.reshape(*grid, -1))
    else:
        turned = scaled.astype(np.int16).reshape(-1, *grid).transpose(0, 3, 2, 1)
        save_hdf5(folder / "betas_nsdsynthetic.hdf5", turned, (len(order), 1, 1, 1))
    of_average = (1 - share) * np.mean(1 / np.unique(order, return_counts=True)[1])
    ceiling = signal.var(0) / (signal.var(0) + of_average)
    np.savez(truth.with_name(f"{truth.stem}-synthetic.npz"), lost=general[3], ceiling=ceiling)
