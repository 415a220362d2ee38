"""The fMRI subjects of a study: where their recordings lie, what they saw, what their scores are called. Light."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.brainscore.targets import StimulusSet, brainscore_jobs
from neuroscaling.config import AlgonautsEncoding, FmriEncoding, LocalData, NsdEncoding, SimulatedData
from neuroscaling.core.names import Name
from neuroscaling.hashing import content_hash
from neuroscaling.store.code import code_of
from neuroscaling.study import LoadedStudy


@dataclass(frozen=True)
class EncodingJob:
    """A subject of a source of fMRI.

    data: name of the recordings in the store; benchmark: name of the scores; stimuli: the images that networks are
    shown; folder: where the recordings lie, and what is in it: `tree` (Algonauts layout) or `recording` (prepared from
    NSD); made: file that a rule of ours writes when the recordings are there, or None for a folder of the user.
    """

    entry: FmriEncoding
    data: str
    subject: str
    benchmark: str
    stimuli: StimulusSet
    folder: Path
    kind: str
    made: Path | None

    @property
    def located(self) -> dict[str, str]:
        """Where it lies, for scripts."""
        return {"folder": str(self.folder), "kind": self.kind, "subject": self.subject}


def encoding_jobs(study: LoadedStudy) -> list[EncodingJob]:
    """The subjects of all sources of fMRI, in the order of the study file."""
    return [job for entry in study.fmri for job in _jobs_of(study, entry)]


def subjects_of(study: LoadedStudy, entry: FmriEncoding) -> list[str]:
    """Names of the subjects of a source: those that are named, or all that it has."""
    if entry.subjects != "all":
        return list(entry.subjects)
    if isinstance(entry.data, SimulatedData):
        n = study.config.simulated[entry.data.simulated].algonauts_subjects
        return [f"subj{number:02d}" for number in range(1, n + 1)]
    folder = entry.data.local / ("nsddata_betas/ppdata" if isinstance(entry, NsdEncoding) else "")
    return sorted(path.name for path in folder.glob("subj[0-9]*") if path.is_dir())


def data_name(study: LoadedStudy, entry: FmriEncoding) -> str:
    """Name of a source in the store."""
    return str(nsd_recordings(study, entry)) if isinstance(entry, NsdEncoding) else study.data_name(entry.data)


def nsd_recordings(study: LoadedStudy, entry: NsdEncoding) -> Name:
    """What the prepared recordings of a tree of NSD are called, and what determines them."""
    listed = content_hash([study.listing(folder) for folder in _nsd_folders(entry)], 16)
    settings = {"space": entry.space, "regions": entry.cortex, "repeats": entry.trials, "test": entry.test}
    return Name("nsd", {"files": listed, **settings, "code": code_of("nsd")})


def algonauts_root(study: LoadedStudy, entry: AlgonautsEncoding) -> Path:
    """Folder with subj01, subj02, ..."""
    if isinstance(entry.data, LocalData):
        return entry.data.local
    return study.store.find(study.store.simulated(study.data_name(entry.data))) / "algonauts2023"


def _jobs_of(study: LoadedStudy, entry: FmriEncoding) -> Iterator[EncodingJob]:
    data = data_name(study, entry)
    simulated = isinstance(entry.data, SimulatedData)
    for subject in subjects_of(study, entry):
        benchmark, stimuli = f"{entry.source}-{subject}", _stimuli(study, entry, data, subject)
        if isinstance(entry, NsdEncoding):
            made = study.store.recording(data, subject) / "manifest.json"
            folder = study.store.find(made).parent
            yield EncodingJob(entry, data, subject, benchmark, stimuli, folder, "recording", made)
        else:
            made = study.store.simulated(data) / "manifest.json" if simulated else None
            folder = algonauts_root(study, entry)
            yield EncodingJob(entry, data, subject, benchmark, stimuli, folder, "tree", made)


def _stimuli(study: LoadedStudy, entry: FmriEncoding, data: str, subject: str) -> StimulusSet:
    """The images of all subjects, most of which may be shared; those of one where inner products of all pairs are kept.

    A simulated brain's images are one set with those of its other recordings, extracted in one pass.
    """
    shared = next((job for job in brainscore_jobs(study) if job.simulated and job.data == data), None)
    if shared:
        return shared.stimuli
    alone = study.config.extraction.keep != "features"
    subjects = [subject] if alone else entry.subjects
    name = f"{data}-{subject}" if alone else data
    root = entry.data.local if isinstance(entry, NsdEncoding) else algonauts_root(study, entry)
    source: dict[str, object] = {"kind": entry.source, "root": str(root), "subjects": subjects}
    needs = (study.store.simulated(data) / "manifest.json",) if isinstance(entry.data, SimulatedData) else ()
    return StimulusSet.of(name, {"kind": entry.source, "data": data, "subjects": subjects}, (source,), needs=needs)


def _nsd_folders(entry: NsdEncoding) -> list[Path]:
    root = entry.data.local
    betas = sorted((root / "nsddata_betas/ppdata").glob(f"subj[0-9]*/{entry.space}"))
    return [root / "nsddata/experiments/nsd", *betas]
