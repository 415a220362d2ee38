"""Write envs/main.yaml and envs/brainscore.yaml: what the .in files ask for, at the versions of the locks."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
HEAD = """# For users with conda (snakemake --sdm conda). Written by `make lock` with the versions of {name}.lock.txt.
channels: [conda-forge, nodefaults]
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def canonical(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, str]:
    """Versions of the lock of environment `name`, by canonical package name."""
    return {canonical(package): version for package, version, _ in pinned(name)}


def pinned(name: str) -> list[tuple[str, str, list[str]]]:
    """What the lock of environment `name` pins, in its order: package, version, and the hashes of all its files."""
    text = (FOLDER / f"{name}.lock.txt").read_text().replace("\\\n", " ")
    pins = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(*requirement.split("=="), [h.removeprefix("--hash=") for h in hashes]) for requirement, *hashes in pins]


def asked(name: str) -> list[str]:
    """The packages that environment `name` asks for."""
    lines = [line.split("#")[0].strip() for line in (FOLDER / f"{name}.in").read_text().splitlines()]
    return [re.split("[=<>]", line)[0].strip() for line in lines if line]


def environment(name: str) -> str:
    """The text of the conda environment file."""
    versions = locked(name)
    return HEAD.format(name=name) + "".join(f"      - {p}=={versions[canonical(p)]}\n" for p in asked(name))


if __name__ == "__main__":
    for name in ("main", "brainscore"):
        (FOLDER / f"{name}.yaml").write_text(environment(name))
