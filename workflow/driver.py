"""Snakemake, as `neuroscaling run` starts it. It needs fewer words where it does not come to its jobs.

Snakemake alone prints its whole usage for a mistyped option, and a traceback where Ctrl-C comes before it has read its
options. Here the one is a line, and the other is nothing. All else is `python -m snakemake`.
"""

import argparse
import os
import re
import signal
import sys
from typing import NoReturn


def refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """Say in a line what is wrong with the options, and end with status 2 as argparse does.

    message: of argparse; an option that Snakemake has not is told with the nearest one that it has.
    """
    from neuroscaling.core.errors import nearest

    if found := re.match(r"unrecognized arguments: (?:.*? )??(--?[^\s=]+)", message):
        near = nearest(found[1], parser._option_string_actions) if found[1].startswith("--") else ""
        message = f"neither `neuroscaling run` nor Snakemake has the option {found[1]}"
        message += f"; nearest: {near}" if near else "; `snakemake --help` lists all"
    print(f"{message}\nnothing was started.", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    """Run Snakemake with the arguments of this process."""
    # Where `python -m` looks first too; the folder of this file is no place for modules.
    sys.path[0] = os.getcwd()
    argparse.ArgumentParser.error = refuse
    try:
        from snakemake.cli import main as snakemake

        snakemake()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
