"""`neuroscaling results` prints a finished study's laws and scores as tables, and keeps those of documents in step.

A table of a document stands between two comments. The first is the command that makes it:

    <!-- table: neuroscaling results scores results/v4 --columns metric -->
    <!-- end of table -->
"""

from __future__ import annotations

import argparse
import glob
import io
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.cli.output import FOR_PEOPLE, FORMATS, MARKDOWN, show, with_digits
from neuroscaling.core.errors import DataError, Place, Problem, listing
from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import content_hash, file_sha256
from neuroscaling.core.score_table import read_table
from neuroscaling.laws.finished_law import read_fit
from neuroscaling.laws.influence_record import fit_files
from neuroscaling.study.paths import Results

PROGRAM = "neuroscaling"
BLOCK = re.compile(r"^<!-- table: (.*?) -->\n(.*?)^<!-- end of table -->$", re.M | re.S)
BEGIN = re.compile(r"^<!-- table: ", re.M)
FENCED = re.compile(r"^(```+|~~~+).*?^\1", re.M | re.S)
DIGITS = 12
"""Of the sha256 that a table states."""
Commands = argparse._SubParsersAction


def add_results_commands(commands: Commands[argparse.ArgumentParser], whole: argparse.ArgumentParser) -> None:
    """Add `results laws`, `results scores` and `results page`. whole: the parser of the command line."""
    text = "the tables of a finished study, for reading and for documents"
    kinds = commands.add_parser("results", help=text, description=text).add_subparsers(required=True, metavar="WHAT")
    text = "a row for each law: loss, asymptote and rate with 95 % intervals, errors of its forms"
    laws = kinds.add_parser("laws", help=text, description=text)
    laws.set_defaults(command=_laws, reads=_fit_files)
    laws.add_argument("results", type=Path, metavar="RESULTS", help="results/<study>")
    text = "these alone, in this order; * stands for any letters (all fits)"
    laws.add_argument("--fits", nargs="+", default=["*"], metavar="NAME", help=text)
    text = "a row for each network, a column for each region, with the most mapping images"
    scores = kinds.add_parser("scores", help=text, description=text)
    scores.set_defaults(command=_scores, reads=lambda options: [Results(options.results).table])
    scores.add_argument("results", type=Path, metavar="RESULTS", help="results/<study>")
    columns = ("region", "subject", "metric", "benchmark")
    scores.add_argument("--columns", choices=columns, default=columns[0], help="what has a column each (region)")
    text = "score, on the scale of its benchmark (default); raw, the correlation; the noise ceiling; or accuracy"
    scores.add_argument("--value", choices=("score", "raw", "ceiling", "acc"), default="score", help=text)
    text = "rows of the score table with these values alone, e.g. metric=ridge or kind=trained,untrained"
    scores.add_argument("--where", nargs="+", default=[], metavar="COLUMN=VALUE", help=text)
    for parser in (laws, scores):
        parser.add_argument("--format", choices=FORMATS, default="table")
    text = "make the tables of documents anew, by the commands that stand in comments above them"
    page = kinds.add_parser("page", help=text, description=text)
    page.set_defaults(command=lambda options: _page(options, whole))
    page.add_argument("pages", type=Path, nargs="+", metavar="FILE.md", help="documents; their other text stays")
    page.add_argument("--check", action="store_true", help="write nothing; exit status 1 where a table is out of step")


def _laws(options: argparse.Namespace) -> None:
    from neuroscaling.report.result_tables import law_rows

    show(law_rows([read_fit(path) for path in _fit_files(options)]), options.format)


def _fit_files(options: argparse.Namespace) -> list[Path]:
    """The files of the fits that are asked for. Raises DataError for a name that no fit has."""
    folder = options.results / "fits"
    found = {pattern: fit_files(folder, pattern) for pattern in options.fits}
    absent = [pattern for pattern, paths in found.items() if not paths]
    if absent:
        known = [path.stem for path in fit_files(folder)]
        fix = "" if known else "give results/<study> of a study whose fits are made"
        what, allowed = "no such fit", listing(known)
        raise DataError([Problem(what=what, where=str(folder), value=one, allowed=allowed, fix=fix) for one in absent])
    return list(dict.fromkeys(path for paths in found.values() for path in paths))


def _scores(options: argparse.Namespace) -> None:
    from neuroscaling.report.result_tables import score_rows

    split = [condition.partition("=") for condition in options.where]
    wrong = [condition for condition, (_, sign, _) in zip(options.where, split, strict=True) if not sign]
    if wrong:
        allowed = "COLUMN=VALUE, or COLUMN=VALUE,VALUE"
        raise DataError([Problem(what="no condition", where="--where", value=one, allowed=allowed) for one in wrong])
    table = Results(options.results).table
    if not table.is_file():
        fix = "give results/<study> of a study that has run"
        raise DataError(Problem(what="the study has no score table", where=str(table), fix=fix))
    where = {column: values.split(",") for column, _, values in split}
    rows = score_rows(read_table(table), options.columns, options.value, where)
    show(with_digits(rows, ".3f") if options.format in FOR_PEOPLE else rows, options.format)


@dataclass(frozen=True)
class Table:
    """A table of a document. where: its place; command: that makes it; text: what stands there now, and its span."""

    where: Place
    command: str
    text: str
    span: tuple[int, int]


def tables_of(page: Path, content: str) -> list[Table]:
    """The tables of a document that commands make, in their order. content: its text.

    Raises DataError for one without an end, and for a page without.
    """
    blocks = _outside_code(BLOCK, content)
    found = [
        Table(Place(page, line=content.count("\n", 0, block.start()) + 1), block[1], block[2], block.span(2))
        for block in blocks
    ]
    if len(_outside_code(BEGIN, content)) != len(found):
        raise DataError(Problem(what="a table has no `<!-- end of table -->`", where=str(page)))
    if not found:
        fix = "put `<!-- table: neuroscaling ... -->` and `<!-- end of table -->` where one should stand"
        raise DataError(Problem(what="no table of this page is made by a command", where=str(page), fix=fix))
    return found


def _outside_code(pattern: re.Pattern[str], content: str) -> list[re.Match[str]]:
    """Matches that are not within a fenced block of code."""
    fences = [code.span() for code in FENCED.finditer(content)]
    return [found for found in pattern.finditer(content) if not any(low < found.start() < high for low, high in fences)]


def _page(options: argparse.Namespace, whole: argparse.ArgumentParser) -> int:
    stale = 0
    for page in options.pages:
        if not page.is_file():
            raise DataError(Problem(what="no such page", where=str(page)))
        content = fresh = page.read_text(encoding="utf-8")
        made = [(*table.span, made_table(table, whole)) for table in tables_of(page, content)]
        for begin, end, text in reversed(made):
            fresh = fresh[:begin] + text + fresh[end:]
        changed = fresh != content
        stale += changed
        print(f"{page}: {'out of step' if options.check else 'written'}" if changed else f"{page}: in step")
        if changed and not options.check:
            with atomic_path(page) as temporary:
                temporary.write_text(fresh, encoding="utf-8")
    return int(options.check and stale > 0)


def made_table(table: Table, whole: argparse.ArgumentParser) -> str:
    """What the command of a table prints as Markdown, with a line that says of which files it is made.

    Raises DataError, with the place in the document, for a command that there is not or that fails.
    """
    program, *words = shlex.split(table.command)
    words = [each for word in words for each in (sorted(glob.glob(word)) or [word])]
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            if program != PROGRAM:
                raise SystemExit(f"the program is `{PROGRAM}`")
            options = whole.parse_args([*words, "--format", MARKDOWN])
    except SystemExit as error:
        said = told.getvalue().strip().rpartition("\n")[2] or error
        raise DataError(Problem(what=f"no such command: {said}", where=table.where, value=table.command)) from None
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(told):
        options.command(options)
    files = list(_files_read(options))
    of = f", of {_stated(files)}" if files else ""
    return f"\n{printed.getvalue().strip()}\n\n*Made by `{table.command}`{of}.*\n\n"


def _files_read(options: argparse.Namespace) -> Iterator[Path]:
    """The results that a command reads; study files are in the repository as the page is."""
    if hasattr(options, "reads"):
        yield from options.reads(options)
        return
    for value in vars(options).values():
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path) and path.is_file() and path.suffix != ".yaml":
                yield path


def _stated(files: Sequence[Path]) -> str:
    """Files by name and the beginning of their sha256, many by their number and the hash of all."""
    if len(files) == 1:
        return f"`{files[0].name}` (sha256 {file_sha256(files[0])[:DIGITS]})"
    sums = content_hash([[path.name, file_sha256(path)] for path in files], DIGITS)
    return f"{len(files)} files (hash {sums})"
