"""What the files of seconds are called that Snakemake writes for a study's jobs (`benchmark:` of the rules).

The report and `neuroscaling status` read them. Another study in the same folder has files of its own.
"""

import re

from neuroscaling.study.rules import Rules

MAKERS = (
    ("subset", re.compile(r"subsets/([^/]+)/[^/]+\.parquet")),
    ("simulate", re.compile(r"simulated/([^/]+)/manifest\.json")),
    ("stimuli", re.compile(r"stimuli/([^/]+)/manifest\.json")),
    ("recordings", re.compile(r"recordings/([^/]+)/([^/]+)/manifest\.json")),
    ("v4_assembly", re.compile(r"recordings/([^/]+)/([^/]+)/manifest\.json")),
    ("v4_data", re.compile(r"data/v4/images/images_(\w+)\.zip")),
    ("prefetch", re.compile(r"data/prefetched/([^/]+)\.json")),
    ("pack", re.compile(r"packs/([^/]+)/([^/]+)/([^/]+)\.json")),
)
"""Which job makes a thing of the store: the groups, joined by dashes, are what its benchmark file is called."""


def benchmark_files(rules: Rules) -> dict[str, list[str]]:
    """Names of the files of a study's jobs, by rule; below the folder of a job of runs, where the rule has one."""
    targets, parts, n = rules.targets, rules.parts, rules.study.config.extraction.slices
    found = {
        "activations": [*parts.sets, *(f"{one}-{i}" for one in targets.sets for i in range(n))],
        "brainscore": list(parts.brainscore),
        "encoding": list(parts.subjects),
        "layers": list(rules.groups.to_score) if targets.references else [],
        "submission": list(rules.submissions),
    }
    packs = (path for paths in rules.packed_datasets.values() for path in paths.values())
    for name in dict.fromkeys(map(rules.study.store.name_of, (*targets.inputs(), *packs))):
        for stage, pattern in MAKERS:
            if found_parts := pattern.fullmatch(name):
                found.setdefault(stage, []).append("-".join(found_parts.groups()))
    return {stage: list(dict.fromkeys(names)) for stage, names in found.items()}
