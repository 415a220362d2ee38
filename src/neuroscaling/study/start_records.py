"""What a start of a study tells its jobs: the rules as they were, and for each job what it is given.

A job on a cluster is a Snakemake of its own. It reads no study: the driver has written down its rules as a Snakefile,
and all that their functions answer for each job that needs to run. `_start.json` below the working directory names the
present start; its folder is named by the hash of its content. Jobs lie in files of 1/256 of them each, since a study
has tens of thousands. The typed objects of a job are made by its script (core/typed_json.py).
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Place, Problem
from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import canonical_json
from neuroscaling.core.json_records import from_json
from neuroscaling.core.provenance import KEY_PACKAGES, installed
from neuroscaling.core.records import CHECKSUM, FORMAT_KEY, read_record, sealed, write_record
from neuroscaling.core.typed_json import Recorded, from_text, is_plain, to_text

PRIVATE = Path(".snakemake") / "neuroscaling"
CODE, STARTS, START = PRIVATE / "_code", PRIVATE / "_starts", PRIVATE / "_start.json"
"""Beside the folders of studies, whose names begin with a letter or a digit."""
FORMAT, JOBS_FORMAT = "start/1", "jobs-of-start/1"
AGAIN = "start the study again"
RULES_FILE = "rules.smk"


@dataclass(frozen=True)
class Start:
    """A start of a study. snakefile: of the driver; code: folder of the frozen code; folder: of its rules and jobs;
    study: the study file; config: what its scripts find in Snakemake's configuration, as text; versions: of the
    driver's Python and key packages."""

    snakefile: str
    code: str
    folder: str
    study: str
    config: str
    versions: dict[str, str | None] = field(default_factory=dict)

    @property
    def rules(self) -> Path:
        """The rules, as a Snakefile."""
        return STARTS / self.folder / RULES_FILE

    def of_config(self) -> dict[str, Any]:
        """What the driver added to Snakemake's configuration."""
        return dict(from_text(self.config))


@dataclass(frozen=True)
class JobRecord:
    """What the functions of a rule answer for one job.

    input: a file or a list of them, by the name that they have, "" for those without one; params: text of each; looks:
    of those params that are typed, how they look; resources: by name, the value of each attempt.
    """

    input: dict[str, str | list[str]] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    looks: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    resources: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        given: Mapping[str, str | list[str]],
        params: Mapping[str, Any],
        threads: int,
        resources: Mapping[str, list[Any]],
    ) -> "JobRecord":
        """A record of answers. Raises TypeError for a param that can't be recorded."""
        looks = {name: repr(value) for name, value in params.items() if not is_plain(value)}
        texts = {name: to_text(value) for name, value in params.items()}
        return cls(dict(given), texts, looks, threads, dict(resources))

    def param(self, name: str) -> Any:
        """A param, or what becomes it in the script."""
        text = self.params[name]
        return Recorded(text, self.looks[name]) if name in self.looks else from_text(text)

    def resource(self, name: str, attempt: int) -> Any:
        """A resource of an attempt, from 1; after the last that is recorded it grows no more."""
        values = self.resources[name]
        return values[min(attempt, len(values)) - 1]


Key = tuple[str, Mapping[str, str]]
"""Rule and wildcards of a job."""


def write_start(
    snakefile: str, code: Path, study: str, config: Mapping[str, Any], rules: str, jobs: Iterable[tuple[Key, JobRecord]]
) -> Start:
    """Write down a start, and name it as the present one. rules: a Snakefile.

    Of former starts the last one stays: a job that read it just now goes on with it.
    """
    shares: dict[str, dict[str, str]] = {}
    for (rule, wildcards), job in jobs:
        key = _key(rule, wildcards)
        shares.setdefault(_share(key), {})[key] = canonical_json(asdict(job))
    contents = {name: sealed({FORMAT_KEY: JOBS_FORMAT, "jobs": found}) for name, found in sorted(shares.items())}
    found = hashlib.sha256(rules.encode())
    for name, content in contents.items():
        found.update(f"{name} {content[CHECKSUM]}\n".encode())
    folder = STARTS / found.hexdigest()[:16]
    if not folder.is_dir():
        with atomic_path(folder, keep=True) as temporary:
            temporary.mkdir(parents=True)
            (temporary / RULES_FILE).write_text(rules, encoding="utf-8")
            for name, content in contents.items():
                write_record(temporary / name, content)
    start = Start(snakefile, str(code), folder.name, study, to_text(dict(config)), installed(KEY_PACKAGES))
    before = _present_folder()
    write_record(START, {FORMAT_KEY: FORMAT, **asdict(start)})
    if before not in (None, folder.name):
        _sweep({before, folder.name})
    return start


def _present_folder() -> str | None:
    """The folder of the present start, whichever Snakefile it is of; None where no file tells."""
    try:
        return str(read_record(START, FORMAT, AGAIN)["folder"])
    except (DataError, KeyError):
        return None


def read_start(snakefile: str) -> Start | None:
    """The present start of the working directory; None where there is none that began with this Snakefile.

    Raises DataError for a damaged file.
    """
    if not START.is_file():
        return None
    content = read_record(START, FORMAT, AGAIN)
    content = {key: value for key, value in content.items() if key not in (FORMAT_KEY, CHECKSUM)}
    start = from_json(content, Start, Place(START), "the file of a start", AGAIN)
    return start if start.snakefile == snakefile else None


def read_job(start: Start, rule: str, wildcards: Mapping[str, str]) -> JobRecord:
    """What a job is given. Raises DataError where the start has no such job."""
    key = _key(rule, wildcards)
    path = STARTS / start.folder / _share(key)
    jobs = read_record(path, JOBS_FORMAT, AGAIN)["jobs"] if path.is_file() else {}
    if key not in jobs:
        name = " ".join([rule, *(f"{wildcard}={value}" for wildcard, value in wildcards.items())])
        what = f"the present start of this folder has no job `{name}`; it is of a former one"
        raise DataError(Problem(what=what, where=str(START), value=start.folder, fix=AGAIN))
    return JobRecord(**json.loads(jobs[key]))


def _key(rule: str, wildcards: Mapping[str, str]) -> str:
    return canonical_json([rule, dict(wildcards)])


def _share(key: str) -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()[:2]}.json"


def _sweep(used: set[str | None]) -> None:
    """Remove the starts that are not `used`. Their dates would not tell which came last: clocks of disks are coarse."""
    for path in STARTS.iterdir():
        if path.name not in used:
            shutil.rmtree(path, ignore_errors=True)
