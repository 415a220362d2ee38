"""The rules of a start as a Snakefile for its jobs: what functions answered is looked up there, not computed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Output:
    """A file that a rule makes: its pattern, its name in the rule ("" for none), whether Snakemake touches it."""

    pattern: str
    name: str = ""
    touched: bool = False


@dataclass(frozen=True)
class RecordedRule:
    """A rule as its jobs need it.

    inputs, params, resources: names of those that each job's record has, "" for files without a name; files: input of
    a rule that is the same for all jobs, in place of `inputs`; script: None for a rule whose jobs the driver does
    itself, which is here since others may refer to its outputs.
    """

    name: str
    outputs: tuple[Output, ...] = ()
    inputs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    log: str | None = None
    benchmark: str | None = None
    conda: str | None = None
    message: str | None = None
    script: Path | None = None
    constraints: Mapping[str, str] = field(default_factory=dict)


def rules_text(rules: Iterable[RecordedRule], reader: Path) -> str:
    """A Snakefile with these rules. reader: the file of rules that has the functions which look things up."""
    return "\n".join([f"include: {str(reader)!r}\n", *("\n".join(_lines(rule)) for rule in rules)])


def _lines(rule: RecordedRule) -> Iterator[str]:
    yield f"\nrule {rule.name}:"
    inputs = [repr(file) for file in rule.files] or _looked_up("input", rule.name, rule.inputs)
    yield from _section("input", inputs)
    yield from _section("output", map(_output, rule.outputs))
    yield from _section("wildcard_constraints", (f"{name}={pattern!r}" for name, pattern in rule.constraints.items()))
    if rule.script is None:
        yield "    localrule: True"
        return
    values = {"log": rule.log, "benchmark": rule.benchmark, "conda": rule.conda, "message": rule.message}
    for section, value in values.items():
        yield from _section(section, [repr(value)] if value else [])
    yield from _section("threads", [f"threads_of({rule.name!r})"])
    yield from _section("resources", _looked_up("resource", rule.name, rule.resources))
    yield from _section("params", _looked_up("param", rule.name, rule.params))
    yield from _section("script", [repr(str(rule.script))])


def _section(section: str, entries: Iterable[str]) -> Iterator[str]:
    found = list(entries)
    if found:
        yield f"    {section}:"
        yield from (
            f"        {entry}{',' if section not in ('threads', 'script', 'message') else ''}" for entry in found
        )


def _output(output: Output) -> str:
    value = f"touch({output.pattern!r})" if output.touched else repr(output.pattern)
    return f"{output.name}={value}" if output.name else value


def _looked_up(what: str, rule: str, names: Iterable[str]) -> list[str]:
    return [f"{name}={what}_of({rule!r}, {name!r})" if name else f"{what}_of({rule!r}, '')" for name in names]
