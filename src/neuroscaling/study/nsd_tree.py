"""The Natural Scenes Dataset has its files where the data manual says; a tree holds some of them.

nsddata/experiments/nsd/nsd_expdesign.mat
nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5
nsddata_betas/ppdata/subj01/<space>/betas_fithrf_GLMdenoise_RR/{betas_session01.hdf5, ncsnr.nii.gz, ...}
nsddata/ppdata/subj01/<volume>/roi/nsdgeneral.nii.gz
nsddata/freesurfer/{subj01,fsaverage}/label/{lh.nsdgeneral.mgz, streams.mgz.ctab, ...}
and of NSD-synthetic, one more scan session of each subject:
nsddata/experiments/nsdsynthetic/nsdsynthetic_expdesign.mat
nsddata_stimuli/stimuli/nsdsynthetic/{nsdsynthetic_stimuli, nsdsynthetic_colorstimuli_subj01, ...}.hdf5
nsddata_betas/ppdata/subj01/<space>/nsdsyntheticbetas_fithrf_GLMdenoise_RR/{betas_nsdsynthetic.hdf5, ...}
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import read_json

VOLUMES = ("func1pt8mm", "func1mm")
SURFACES = ("nativesurface", "fsaverage")
SPACES = (*VOLUMES, *SURFACES)
NSD_HEMISPHERES = ("lh", "rh")
PREPARATION = "betas_fithrf_GLMdenoise_RR"
SYNTHETIC_PREPARATION = f"nsdsynthetic{PREPARATION}"
FSAVERAGE_VERTICES = 163842
"""Of each hemisphere."""
COMPLETED = dict(zip([f"subj{i:02d}" for i in range(1, 9)], (40, 40, 32, 30, 40, 32, 40, 30), strict=True))
"""Scan sessions of each subject; the manual's page on final numbers."""
NSD_FIX = "see docs/nsd.md for the files of each space"


@dataclass(frozen=True)
class NsdPlace:
    """One subject's responses in one space."""

    root: Path
    subject: str
    space: str

    @property
    def parts(self) -> tuple[str, ...]:
        """`lh` and `rh` of a surface; a volume is one part, `both`."""
        return ("both",) if self.space in VOLUMES else NSD_HEMISPHERES

    @property
    def betas(self) -> Path:
        """Folder of the single-trial responses."""
        return self.root / "nsddata_betas" / "ppdata" / self.subject / self.space / PREPARATION

    def session_file(self, part: str, session: int) -> Path:
        """File of a scan session (from 1) and hemisphere; of a volume's two formats, the one that is there."""
        stem = f"betas_session{session:02d}"
        if self.space in SURFACES:
            return self.betas / f"{part}.{stem}.{'mgh' if self.space == 'fsaverage' else 'hdf5'}"
        return _direct_or_compressed(self.betas, stem)

    @property
    def synthetic_betas(self) -> Path:
        """Folder of the single-trial responses of NSD-synthetic."""
        return self.betas.with_name(SYNTHETIC_PREPARATION)

    def synthetic_file(self, part: str) -> Path:
        """Responses of NSD-synthetic's scan session; of a volume's two formats, the one that is there."""
        stem = "betas_nsdsynthetic"
        if self.space in SURFACES:
            return self.synthetic_betas / f"{part}.{stem}.{'mgh' if self.space == 'fsaverage' else 'hdf5'}"
        return _direct_or_compressed(self.synthetic_betas, stem)

    def synthetic_files(self) -> list[Path]:
        """Every file that NSD-synthetic takes of this subject and space, design and images among them."""
        betas = [self.synthetic_file(part) for part in self.parts]
        return [synthetic_design_file(self.root), *synthetic_image_files(self.root, self.subject), *betas]

    def ncsnr_file(self, part: str) -> Path:
        """Signal-to-noise ratio of single trials, as NSD gives it."""
        return self.betas / ("ncsnr.nii.gz" if self.space in VOLUMES else f"{part}.ncsnr.mgh")

    def label_file(self, part: str, name: str) -> Path:
        """Integers of the ROIs `name` (`nsdgeneral`, `streams`, ...)."""
        if self.space in VOLUMES:
            return self.root / "nsddata" / "ppdata" / self.subject / self.space / "roi" / f"{name}.nii.gz"
        return self._labels(self._surface) / f"{part}.{name}.mgz"

    def label_names(self, name: str) -> Path:
        """Table of the names of these integers; fsaverage's where the subject has none of its own."""
        own = self._labels(self.subject) / f"{name}.mgz.ctab"
        return own if own.is_file() else self._labels("fsaverage") / own.name

    @property
    def _surface(self) -> str:
        return "fsaverage" if self.space == "fsaverage" else self.subject

    def _labels(self, surface: str) -> Path:
        return self.root / "nsddata" / "freesurfer" / surface / "label"

    def sessions(self) -> list[int]:
        """Scan sessions (from 1) of which any file is there."""
        if not self.betas.is_dir():
            return []
        named = re.compile(r"(?:[lr]h\.)?betas_session(\d\d)\.(?:hdf5|nii\.gz|mgh)")
        matches = (named.fullmatch(path.name) for path in self.betas.iterdir())
        return sorted({int(match[1]) for match in matches if match})


def synthetic_design_file(root: Path) -> Path:
    """The order of NSD-synthetic's images, the same for all subjects."""
    return Path(root) / "nsddata" / "experiments" / "nsdsynthetic" / "nsdsynthetic_expdesign.mat"


def synthetic_image_files(root: Path, subject: str) -> tuple[Path, Path]:
    """NSD-synthetic's images: those that all subjects saw, and those that differ between subjects."""
    folder = Path(root) / "nsddata_stimuli" / "stimuli" / "nsdsynthetic"
    return folder / "nsdsynthetic_stimuli.hdf5", folder / f"nsdsynthetic_colorstimuli_{subject}.hdf5"


def has_synthetic(root: Path) -> bool:
    """Whether any file of NSD-synthetic is in the tree."""
    root = Path(root)
    folders = [synthetic_design_file(root).parent, synthetic_image_files(root, "")[0].parent]
    folders += sorted((root / "nsddata_betas" / "ppdata").glob(f"subj*/*/{SYNTHETIC_PREPARATION}"))
    return any(folder.is_dir() for folder in folders)


def _direct_or_compressed(folder: Path, stem: str) -> Path:
    compressed, direct = folder / f"{stem}.nii.gz", folder / f"{stem}.hdf5"
    return compressed if compressed.is_file() and not direct.is_file() else direct


def nsd_place(root: str | Path, subject: str, space: str) -> NsdPlace:
    """One subject in one space. Raises DataError for a space or a subject that NSD or the tree doesn't have."""
    root = Path(root)
    problems = []
    if space not in SPACES:
        problems.append(
            Problem(
                what="unknown space",
                where="space",
                value=space,
                allowed=", ".join(SPACES),
                nearest=nearest(space, SPACES),
            )
        )
    problems += nsd_subject_problems(root, [subject])
    if problems:
        raise DataError(problems)
    return NsdPlace(root, subject, space)


def spaces_of(root: str | Path, subject: str) -> list[str]:
    """Spaces of which the tree has responses of a subject."""
    root = Path(root)
    return [space for space in SPACES if NsdPlace(Path(root), subject, space).sessions()]


def nsd_subjects(root: str | Path) -> list[str]:
    """Subjects of which the tree has a folder of responses."""
    root = Path(root)
    folder = Path(root) / "nsddata_betas" / "ppdata"
    return sorted(path.name for path in folder.glob("subj*") if path.is_dir())


def nsd_subject_problems(root: Path, subjects: Sequence[str] | str) -> list[Problem]:
    """Subjects (or all) that the tree doesn't have."""
    there = nsd_subjects(root)
    if not there:
        return [Problem(what="no folder nsddata_betas/ppdata/subj01 or another subject", where=str(root), fix=NSD_FIX)]
    named = [] if subjects == "all" else subjects
    what = "subject folder is missing"
    where = str(Path(root) / "nsddata_betas" / "ppdata")
    return [
        Problem(what=what, where=where, value=s, allowed=listing(there), nearest=nearest(s, there))
        for s in named
        if s not in there
    ]


def is_simulated(root: Path) -> bool:
    """Whether the tree is SIMULATED: the manifest of the simulation, one level up, says so."""
    return bool(_manifest(root).get("simulated"))


def completed_sessions(root: Path, subject: str) -> int | None:
    """Scan sessions that a subject completed, whether or not the tree has them all; None for unknown subjects."""
    return (_manifest(root).get("sessions") or COMPLETED).get(subject)


def _manifest(root: Path) -> dict:
    path = Path(root).parent / "manifest.json"
    manifest = read_json(path) if path.is_file() else {}
    return manifest if isinstance(manifest, dict) and manifest.get("simulated") else {}
