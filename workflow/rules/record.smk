# In the driver: writes down the rules of this start, and what each job is given, for jobs on a cluster to read.
import os
from pathlib import Path

from snakemake.io import apply_wildcards, is_flagged

from neuroscaling.core import frozen_code
from neuroscaling.study import start_records
from neuroscaling.study.recorded_rules import Output, RecordedRule, rules_text

# Attempts whose resources are recorded: they grow with each, and later ones ask for what the last of these does.
ATTEMPTS = (1, 2, 3)
# What the configuration has for the driver's own rules alone; it grows with the study.
OWN_CONFIG = {"jobs", "files"}


def own_rules():
    """The rules of this workflow by their names here; another workflow that uses them may call them otherwise."""
    found = {name: proxy.rule for name, proxy in rules._rules.items()}
    return {
        name: made
        for name, made in found.items()
        if hasattr(made, "ruleinfo")
        and (made.script is None or Path(str(made.basedir)) == RULES)
    }


def is_recorded(made):
    """Whether a rule has jobs on a cluster."""
    return made.script is not None and not made.ruleinfo.localrule


def named(section):
    """The entries of a rule's section by their names, those without one under "" together."""
    if section is None:
        return {}
    paths, named_paths, *_ = section
    return {**({"": list(paths)} if paths else {}), **named_paths}


def answer(made, item, job, attempt=1):
    """What an entry of a rule is for a job."""
    if callable(item):
        return made.apply_input_function(
            item,
            job.wildcards_dict,
            input=job.input,
            output=job.output,
            attempt=attempt,
            threads=lambda: job.threads,
            resources=lambda: job.resources,
        )[0]
    if isinstance(item, str):
        return apply_wildcards(item, job.wildcards_dict)
    if isinstance(item, list):
        return [answer(made, part, job) for part in item]
    return item


def files(value):
    """Paths as flat texts."""
    if isinstance(value, (str, Path)):
        return [str(value)]
    return [file for part in value for file in files(part)]


def one_or_more(value):
    """A path as a text, as its script finds it; a list of paths, of one too, as a list."""
    return str(value) if isinstance(value, (str, Path)) else files(value)


def job_record(made, job):
    """What a job is given."""
    info = made.ruleinfo
    by_attempt = {
        name: [answer(made, value, job, attempt) for attempt in ATTEMPTS]
        for name, value in named(info.resources).items()
    }
    return start_records.JobRecord.of(
        {
            name: one_or_more(answer(made, value, job))
            for name, value in named(info.input).items()
        },
        {name: answer(made, value, job) for name, value in named(info.params).items()},
        answer(made, info.threads or 1, job),
        by_attempt,
    )


def recorded_rule(name, made):
    """A rule as its jobs read it."""
    info = made.ruleinfo
    outputs = tuple(
        Output(str(file), key, bool(is_flagged(file, "touch")))
        for key, found in named(info.output).items()
        for file in (found if isinstance(found, list) else [found])
    )
    if not is_recorded(made):
        known = named(info.input) if made.script is None else {}
        return RecordedRule(
            name, outputs, files=tuple(files(list(known.values()))) if known else ()
        )

    def beside(path):
        return os.path.normpath(RULES / path)

    logs = files(list(named(info.log).values()))
    constraints = {
        wildcard: pattern
        for wildcard, pattern in workflow.modifier.wildcard_constraints.items()
        if any("{{{}}}".format(wildcard) in output.pattern for output in outputs)
    }
    sections = {
        "log": logs[0] if logs else None,
        "benchmark": str(info.benchmark.paths) if info.benchmark else None,
        "conda": beside(info.conda_env) if info.conda_env else None,
        "message": info.message,
        "script": Path(beside(info.script)),
    }
    names = {
        section: tuple(named(found))
        for section, found in (
            ("inputs", info.input),
            ("params", info.params),
            ("resources", info.resources),
        )
    }
    return RecordedRule(name, outputs, constraints=constraints, **names, **sections)


def record_start():
    """Write down this start, and forget former ones."""
    known = own_rules()
    by_script = {
        made.script: (name, made) for name, made in known.items() if is_recorded(made)
    }
    jobs = [job for job in workflow.dag.needrun_jobs() if workflow.non_local_exec]
    own = [
        (job, *by_script[job.rule.script])
        for job in jobs
        if job.rule.script in by_script and Path(str(job.rule.basedir)) == RULES
    ]
    # What the command line names, a job is told again.
    added = {key: value for key, value in config.items() if key not in session.KEYS}
    added["located"] = {
        key: value for key, value in added["located"].items() if key not in OWN_CONFIG
    }
    start_records.write_start(
        os.path.abspath(workflow.main_snakefile),
        CODE,
        str(config["study"]),
        added,
        rules_text(
            [recorded_rule(name, made) for name, made in known.items()],
            RULES / "recorded.smk",
        ),
        (
            ((name, job.wildcards_dict), job_record(made, job))
            for job, name, made in own
        ),
    )
    frozen_code.sweep(start_records.CODE, CODE)
