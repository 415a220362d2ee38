"""The wheel, built and installed by pip into an environment with what it asks for and nothing else: no download."""

import os
import re
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.support.doc_blocks import ROOT

# Folders of a distribution that are no package: scripts, and what is compiled on the way.
NOT_IMPORTED = ("..", "__pycache__", "bin")


def build(folder: Path) -> tuple[Path, Path]:
    """The sdist of this checkout and the wheel made of it, both written to `folder`."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def install(wheel: Path, folder: Path) -> Path:
    """The interpreter of a new environment that has the wheel, and links to all that it needs without its extras."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True, text=True)
    (information,) = packages.glob("neuroscaling-*.dist-info")
    for name in needed(metadata.Distribution.at(information)):
        link(metadata.distribution(name), packages)
    return python


def needed(distribution: metadata.Distribution) -> set[str]:
    """Names of all distributions that one needs here, directly or not, without extras of its own."""
    found: set[str] = set()
    left = [(distribution, frozenset[str]())]
    while left:
        of, extras = left.pop()
        for requirement in map(Requirement, of.requires or []):
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
                continue
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if name not in found:
                found.add(name)
                left.append((metadata.distribution(name), frozenset(requirement.extras)))
    return found


def link(distribution: metadata.Distribution, packages: Path) -> None:
    """Link the packages and modules of a distribution, and what is known of it, into a folder of packages."""
    for top in {file.parts[0] for file in distribution.files or []} - set(NOT_IMPORTED):
        source, target = Path(str(distribution.locate_file(top))), packages / top
        if source.exists() and not target.exists():
            target.symlink_to(source)


def clean_environment() -> dict[str, str]:
    """Variables of a user who has no checkout and no environment for Brain-Score."""
    dropped = ("PYTHON", "NEUROSCALING_", "PYTEST_", "SNAKEMAKE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"OMP_NUM_THREADS": "1"}
