"""Sessions of V4 in a study: where their files lie, what they are called, and the images that they showed."""

from pathlib import Path

from neuroscaling.core.hashing import ArtefactName
from neuroscaling.study import recording_folders
from neuroscaling.study.code_fingerprints import code_of
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.stimulus_sets import StimulusSet
from neuroscaling.study.stimulus_sources import V4Images


def v4_stimuli(study: LoadedStudy, session: str) -> StimulusSet:
    """The images of a V4 session, whole."""
    source = V4Images(v4_root(study, session), session)
    identity = {"v4": v4_identity(study, session)}
    return StimulusSet.of(f"v4-{session}", identity, (source,), needs=v4_files(study, session))


def v4_identity(study: LoadedStudy, session: str) -> object:
    """What tells a session's recordings from others: its id where their checksums are known, else names and sizes."""
    names = recording_folders.v4_session_files(session).values()
    known = recording_folders.v4_sha256()
    if study.v4_dir is None or any(name in known for name in names):
        return session
    files = [study.v4_dir / name for name in names]
    return [session, *([file.name, file.stat().st_size] for file in files if file.is_file())]


def v4_root(study: LoadedStudy, session: str) -> Path:
    """Where the recordings of a V4 session lie, or will be downloaded to."""
    return study.v4_dir or study.store.find(v4_files(study, session)[0]).parents[1]


def v4_files(study: LoadedStudy, session: str) -> tuple[Path, ...]:
    """Files of a V4 session that are downloaded; none where the study has a folder with them."""
    if study.v4_dir:
        return ()
    data = study.store.v4()
    return (
        data / f"images/images_{session}.zip",
        data / f"responses_repeat_averaged/responses_{session}.npy",
    )


def v4_assembly(study: LoadedStudy, session: str) -> ArtefactName:
    """A session of V4 as an assembly for Brain-Score's classes: name of the folder that its folder lies in."""
    return ArtefactName(f"v4-{session}", {"recordings": v4_identity(study, session), "code": code_of("v4_assembly")})
