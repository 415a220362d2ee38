"""Download Brain-Score's files of benchmarks; a plain command for the brainscore environment's interpreter.

--benchmarks ID [ID ...] --root FOLDER --manifest FILE [--log FILE]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from neuroscaling.logs import script_logging


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Download the files of Brain-Score benchmarks; needs a network.")
    parser.add_argument("--benchmarks", nargs="+", required=True, help="registered ids")
    parser.add_argument("--root", required=True, type=Path, help="data directory, in the layout of BRAINIO_HOME")
    parser.add_argument("--manifest", required=True, type=Path, help="list of the files, written when all are there")
    parser.add_argument("--log", help="log file")
    return parser.parse_args()


with script_logging(sys.argv[sys.argv.index("--log") + 1] if "--log" in sys.argv[:-1] else None):
    from neuroscaling.brainscore import environment
    from neuroscaling.brainscore.prefetch import prefetch

    given = options()
    with tempfile.TemporaryDirectory(prefix="neuroscaling-prefetch-") as scratch:
        environment.prepare(Path(scratch))
        prefetch(given.benchmarks, given.root, given.manifest)
