"""`neuroscaling runs|plan|check|status|models|benchmarks|audit|data|store|submission|schema|predict|next-runs`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from neuroscaling import __version__
from neuroscaling.cli import calibrate, data, planning, store, submission
from neuroscaling.cli.output import FORMATS, show
from neuroscaling.errors import NeuroscalingError


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 1 for a NeuroscalingError (its message on standard error)."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options) or 0
    except NeuroscalingError as error:
        print(error, file=sys.stderr)
        print(
            f"\n{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''}; nothing was started.",
            file=sys.stderr,
        )
        return 1
    except BrokenPipeError:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="neuroscaling", description="Answers questions beside the pipeline.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "runs", _runs, "the run table of a study", study=True, formats=True)
    text = "what is done and what is left, stage by stage"
    status = _add(commands, "status", _status, text, study=True, formats=True)
    text = "what changed since the study last ended: settings, formulas, versions; what is absent because of it"
    status.add_argument("--why", action="store_true", help=text)
    text = "what a study costs before it runs: hours of training, bytes of activations; nothing is computed but shapes"
    calibrate.add_options(_add(commands, "plan", _plan, text, study=True, formats=True))
    _add(commands, "check", _check, "look for faults, deeper than parsing does: images, networks, layers", study=True)
    models = _add(commands, "models", _models, "the architectures known by name, and what they cost", formats=True)
    text = "these alone: names of the list, of timm, or package.module:function of your own"
    models.add_argument("names", nargs="*", metavar="NAME", help=text)
    text = "leave out parameters and multiply-accumulates, which take about half a minute for the whole list"
    models.add_argument("--no-cost", dest="cost", action="store_false", help=text)
    _add(commands, "benchmarks", _benchmarks, "the Brain-Score benchmarks that can be scored", formats=True)
    text = "score a run on a benchmark by both engines, and print the difference"
    audit = _add(commands, "audit", _audit, text, formats=True)
    audit.add_argument("run", metavar="RUN", help="name of a run that was scored")
    audit.add_argument("benchmark", metavar="BENCHMARK", help="a benchmark of the study")
    audit.add_argument("--study", type=Path, required=True, metavar="STUDY", help="the study that scored it")
    schema = _add(commands, "schema", _schema, "write config/README.md and config/schema.json from the definition")
    schema.add_argument("--folder", type=Path, default=Path("config"))
    data.add_commands(commands)
    store.add_commands(commands)
    submission.add_commands(commands)
    planning.add_commands(commands)
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[argparse.Namespace], int | None],
    text: str,
    study: bool = False,
    formats: bool = False,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    if study:
        parser.add_argument("study", type=Path, metavar="STUDY", help="a study file, e.g. config/studies/demo.yaml")
    if formats:
        parser.add_argument("--format", choices=FORMATS, default="table")
    return parser


def _runs(options: argparse.Namespace) -> None:
    from neuroscaling.study import load_study

    keys = ("run", "kind", "arch", "family", "dataset", "samples_per_class", "subset_seed", "seed")
    runs = load_study(options.study).runs.values()
    rows = [{**{key: getattr(run, key) for key in keys}, "recipe": (run.recipe or {}).get("name")} for run in runs]
    show(rows, options.format)


def _status(options: argparse.Namespace) -> None:
    from neuroscaling.cli.status import status, why_rows
    from neuroscaling.study import load_study

    show((why_rows if options.why else status)(load_study(options.study)), options.format)


def _plan(options: argparse.Namespace) -> None:
    from neuroscaling.cli.plan import plan

    plan(options)


def _check(options: argparse.Namespace) -> None:
    from neuroscaling.brainscore.choice import choice_problems
    from neuroscaling.cli.notes import average_notes
    from neuroscaling.deep_checks import deep_problems
    from neuroscaling.errors import StudyError
    from neuroscaling.study import read_study

    reading = read_study(options.study)
    study, deeper = reading.study, []
    if study is not None:
        # What is sound is looked at in depth beside all that is not, so that a file is mended in one round.
        try:
            deeper = [*choice_problems(study), *deep_problems(study)]
        except NeuroscalingError as error:
            deeper = error.problems
    problems = [*reading.problems, *map(reading.document.placed, deeper)]
    if problems or study is None:
        raise StudyError({str(problem): problem for problem in problems}.values())
    print(
        f"{study.file}: {len(study.runs)} runs, {len(study.fits)} fits, no problem found",
        *average_notes(study),
        sep="\n",
    )


def _models(options: argparse.Namespace) -> None:
    from neuroscaling.cli.models import models

    show(models(options.names, options.cost), options.format)


def _benchmarks(options: argparse.Namespace) -> None:
    from neuroscaling.brainscore.ids import BENCHMARKS

    keys = ("benchmark", "region", "metric", "kind", "degrees", "data")
    rows = [{key: getattr(entry, key) for key in keys} for entry in BENCHMARKS.values()]
    show([row | {"data": " ".join(row["data"])} for row in rows], options.format)


def _audit(options: argparse.Namespace) -> None:
    from neuroscaling.cli.audit import audit

    audit(options)


def _schema(options: argparse.Namespace) -> None:
    from neuroscaling.schema import write_reference

    for path in write_reference(options.folder):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
