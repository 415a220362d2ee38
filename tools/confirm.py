"""Say that changed code of a dear stage still gives the results that its version stands for; or raise the version.

    python tools/confirm.py                    every stage whose code changed
    python tools/confirm.py training           this one
    python tools/confirm.py training --raise   its results are others now: a higher number, and other names

A small case (cases.py) is computed and compared with what is recorded in tools/confirmed/. It is small: whoever changed
more than it looks at raises the number though it is equal.
"""

import argparse
import contextlib
import json
import logging
import math
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tools")]

from cases import CASES  # noqa: E402

from neuroscaling.core.errors import nearest  # noqa: E402
from neuroscaling.core.files import write_json  # noqa: E402
from neuroscaling.study.code_fingerprints import (  # noqa: E402
    VERSIONED_STAGES,
    VERSIONS,
    confirmed_path,
    stage_parts,
    unconfirmed,
    version_of,
)

CONFIRMED = ROOT / "tools" / "confirmed"
RTOL, ATOL = 1e-4, 1e-7
"""Processors differ by less, after a few steps of training too; a changed formula does not."""
SHOWN = 5
PACKAGES = ("numpy", "pillow", "torch", "timm")


def main() -> int:
    """Confirm or raise the stages that are named. Returns the exit status: 1 where results differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=", ".join(VERSIONED_STAGES))
    parser.add_argument("--raise", dest="higher", action="store_true", help="give the stages a higher number")
    options = parser.parse_args()
    for stage in options.stages:
        if stage not in VERSIONED_STAGES:
            parser.error(
                f"no stage {stage!r}; did you mean {nearest(stage, VERSIONED_STAGES) or ', '.join(VERSIONED_STAGES)}?"
            )
    if options.higher and not options.stages:
        parser.error("--raise: name the stages whose results are others now")
    stages = options.stages or [stage for stage in VERSIONED_STAGES if unconfirmed(stage, ROOT)]
    if not stages:
        print("The code of every stage is confirmed.")
    return max([0, *(confirm(stage, options.higher) for stage in stages)])


def confirm(stage: str, higher: bool) -> int:
    """Compare the results of one stage, and record that they are right."""
    found = results_of(stage)
    recorded = recorded_of(stage)
    differing = list(differences(recorded["results"], found)) if recorded else []
    number = version_of(stage)
    if higher:
        number += 1
        versions = json.loads(VERSIONS.read_text(encoding="utf-8")) | {stage: number}
        write_json(VERSIONS, versions)
    elif differing:
        print(f"{stage}: {len(differing)} of {len(found)} results are others than those recorded:", file=sys.stderr)
        print(*differing[:SHOWN], sep="\n", file=sys.stderr)
        made = ", ".join(f"{name} {recorded['packages'].get(name)}" for name in PACKAGES)
        print(f"  (recorded with {made}; here are {_packages()})", file=sys.stderr)
        print(
            f"next: mend the code; or, where the new results are right: python tools/confirm.py {stage} --raise\n"
            f"      All {VERSIONED_STAGES[stage].what} get new names then, and are made again.",
            file=sys.stderr,
        )
        return 1
    # What is equal within the tolerance stays as it was recorded, so that small differences can't add up.
    kept = recorded["results"] if recorded and not differing else found
    packages = {name: version(name) for name in PACKAGES} if kept is found else recorded["packages"]
    record = {"version": number, "packages": packages, "results": kept, "parts": stage_parts(stage)}
    write_json(confirmed_path(stage, ROOT), record)
    told = "equal" if recorded and not differing else "recorded"
    print(f"{stage}: results are {told}; version {number} is confirmed for the code as it is")
    return 0


def results_of(stage: str) -> dict[str, Any]:
    """The results of a stage's small case, as JSON has them. What it prints goes to standard error."""
    logging.disable(logging.WARNING)  # so few steps and images are not what training is for
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        return json.loads(json.dumps(CASES[stage](Path(folder)), allow_nan=False))


def recorded_of(stage: str) -> dict[str, Any] | None:
    """What was confirmed of a stage; None before the first time."""
    path = confirmed_path(stage, ROOT)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def differences(recorded: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """What differs, a line each: whole numbers and text have to be equal, lists of floats within RTOL."""
    for name in sorted(recorded.keys() | found.keys()):
        if not _equal(recorded.get(name), found.get(name)):
            yield f"  {name}: {found.get(name)} instead of {recorded.get(name)}"


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=RTOL, abs_tol=ATOL)
    return one == other


def _packages() -> str:
    return ", ".join(f"{name} {version(name)}" for name in PACKAGES)


if __name__ == "__main__":
    sys.exit(main())
