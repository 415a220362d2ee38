"""The recordings of a new study: a section of the study file for each kind, and what its laws need to know of it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from neuroscaling.study.array_checks import array_training_images
from neuroscaling.study.own_arrays import OwnArrays, read_own_stimuli, read_own_units
from neuroscaling.study.sections.encoding import ArraysEncoding
from neuroscaling.study.sections.simulated_brains import SIMULATED_BENCHMARKS

LADDER = tuple(factor * 10**power for power in range(7) for factor in (1, 3))


@dataclass(frozen=True)
class Recordings:
    """What networks are scored on. text: sections of the study file; regions; subset: filters that only its rows pass;
    samples: numbers of mapping images; unit: column of what was recorded from, and how many there are; y: of laws."""

    text: str
    regions: tuple[str, ...]
    subset: str
    samples: tuple[int | str, ...] = ()
    unit: str = "subject"
    n_units: int = 1
    y: str = "score"

    @property
    def largest(self) -> str:
        """A filter for the largest number of mapping images."""
        numbers = [number for number in self.samples if isinstance(number, int)]
        return f", n_mapping: {{min: {max(numbers) + 1}}}" if numbers else ""


def simulated() -> Recordings:
    """The simulated brain: fMRI of two subjects; Brain-Score's part is there as a comment."""
    benchmarks = "\n".join(f"#     - {name}" for name in SIMULATED_BENCHMARKS)
    text = f"""
# A SIMULATED brain, so that everything can be tried without data: early regions follow local energy, late ones the
# categories of the digits. Its laws say whether the pipeline works, and nothing about brains.
simulated:
  demo: {{seed: 0}}
encoding:
  - source: algonauts2023
    data: {{simulated: demo}}
    regions: [V1, V2, hV4, ventral]
    samples: [20, 40, 80, all]   # images that a mapping from network to brain is fitted on

# Simulated neurons and behaviour, scored by Brain-Score's own benchmarks. They take Brain-Score's environment
# (docs/installing.md). Without the `# ` in front of each line they are part of the study:
# brainscore:
#   data: {{simulated: demo}}
#   benchmarks:
{benchmarks}
#   layers: {{choose: depth}}
"""
    return Recordings(text, ("V1", "V2", "hV4", "ventral"), "benchmark: algonauts2023", (20, 40, 80, "all"), n_units=2)


def brainscore() -> Recordings:
    """The five public benchmarks of Brain-Score."""
    lines = "\n".join(f"    - {name}" for name in SIMULATED_BENCHMARKS)
    text = f"""
# Brain-Score's public benchmarks: their recordings are downloaded once. `neuroscaling benchmarks` lists all.
brainscore:
  data: {{download: true}}   # or {{local: FOLDER}}
  benchmarks:
{lines}
"""
    named = ", ".join(SIMULATED_BENCHMARKS)
    return Recordings(text, ("V1", "V2", "V4", "IT", "behavior"), f"benchmark: [{named}]")


def v4(folder: str) -> Recordings:
    """Three of the public sessions of macaque V4."""
    text = f"""
# Macaque V4, real recordings of three sessions, downloaded and checked where no folder is named (docs/results/v4.md).
encoding:
  - source: v4
    local_dir: {quoted(folder) if folder else "${NEUROSCALING_V4_DIR:-}"}
    sessions: ["190923", "190925", "210225"]
    samples: [20, 80, 320, all]   # images that a mapping from network to neurons is fitted on
    metrics: [ridge]
"""
    return Recordings(text, ("V4",), "data: v4, metric: ridge", (20, 80, 320, "all"), "benchmark", 3, "raw")


def algonauts(folder: str) -> Recordings:
    """Human fMRI of the Algonauts 2023 Challenge."""
    text = f"""
# Human fMRI: the Algonauts 2023 Challenge (docs/fmri.md). Training images are held out, the same for all sizes.
encoding:
  - source: algonauts2023
    data: {{local: {quoted(folder)}}}
    evaluate: validation
    samples: [30, 100, 300, 1000, all]   # images that a mapping from network to brain is fitted on
"""
    regions = ("V1", "V2", "hV4", "ventral", "lateral", "parietal")
    return Recordings(text, regions, "benchmark: algonauts2023, metric: ridge", (30, 100, 300, 1000, "all"), n_units=8)


def nsd(folder: str) -> Recordings:
    """Human fMRI of the Natural Scenes Dataset, in its own files."""
    samples: tuple[int | str, ...] = (100, 300, 1000, 3000, "all")
    text = f"""
# Human fMRI: the Natural Scenes Dataset in its own files (docs/nsd.md). Look at them first:
# neuroscaling data check nsd FOLDER
encoding:
  - source: nsd
    data: {{local: {quoted(folder)}}}
    space: fsaverage   # or func1pt8mm, func1mm, nativesurface: those whose files you have
    # test: [shared1000, nsd_synthetic]   # also images that are no photographs
    samples: [{_listed(samples)}]   # images that a mapping from network to brain is fitted on
"""
    regions = ("early", "ventral", "lateral", "parietal")
    return Recordings(text, regions, "benchmark: nsd, metric: ridge", samples, n_units=8)


def tvsd(folder: str, images: str) -> Recordings:
    """Sites of macaque V1, V4 and IT that saw images of THINGS."""
    samples: tuple[int | str, ...] = (100, 1000, 10_000, "all")
    text = f"""
# Macaque V1, V4 and IT: multi-unit activity of two monkeys to images of THINGS (docs/things.md).
encoding:
  - source: tvsd
    data: {{local: {quoted(folder)}}}   # with monkeyF and monkeyN
    images: {quoted(images)}   # of THINGS
    reliability: 0.1   # sites that repeat themselves less are left out
    samples: [{_listed(samples)}]   # images that a mapping from network to sites is fitted on
"""
    return Recordings(text, ("V1", "V4", "IT"), "benchmark: tvsd, metric: ridge", samples, n_units=2)


def things_fmri(folder: str, images: str) -> Recordings:
    """Human fMRI that saw images of THINGS."""
    samples: tuple[int | str, ...] = (100, 300, 1000, 3000, "all")
    regions = ("V1", "V2", "V3", "hV4", "LOC", "FFA", "IT")
    text = f"""
# Human fMRI: THINGS-fMRI, three people who saw images of THINGS (docs/things.md).
encoding:
  - source: things_fmri
    data: {{local: {quoted(folder)}}}   # with betas_csv
    images: {quoted(images)}   # of THINGS
    regions: [{_listed(regions)}]
    samples: [{_listed(samples)}]   # images that a mapping from network to voxels is fitted on
"""
    return Recordings(text, regions, "benchmark: things_fmri, metric: ridge", samples, n_units=3)


def own_function(path: str, images: str, subjects: Sequence[str], regions: Sequence[str]) -> Recordings:
    """Recordings that a function returns. path: `package.module:function`."""
    samples: tuple[int | str, ...] = (30, 100, "all")
    name = re.sub(r"[^A-Za-z0-9]+", "-", path.partition(".")[0].partition(":")[0]).strip("-")[:40] or "ours"
    text = f"""
# Recordings that a function of your own returns, called as `function(options, subject)` (docs/own-recordings.md).
encoding:
  - source: {quoted(path)}
    name: {quoted(name)}   # the benchmark in tables and figures
    subjects: [{_listed(subjects)}]
    options: {{}}   # what the function is given, such as {{repetitions: 4}}
    files: []   # what it reads: it is called again when their contents change
    images: {quoted(images)}
    samples: [{_listed(samples)}]   # images that a mapping from network to responses is fitted on
"""
    subset = f"benchmark: {quoted(name)}, metric: ridge"
    return Recordings(text, tuple(regions), subset, samples, n_units=len(subjects), y="raw")


def own_arrays(entry: ArraysEncoding, name: str) -> Recordings:
    """Recordings of one's own. Raises DataError for faulty tables."""
    arrays = OwnArrays.of(entry)
    units, tests = read_own_units(arrays), read_own_stimuli(arrays).test_sets()
    fewest = min(array_training_images(entry).values())
    ladder = [number for number in LADDER if 10 <= number < 0.9 * fewest]
    # Ten are the fewest that a mapping is fitted on.
    quarters = [fewest // 4, fewest // 2] if fewest >= 40 else []
    samples = (*(ladder if len(ladder) > 1 else quarters), "all")
    stimuli = f"\n    stimuli: {quoted(str(entry.stimuli))}" if entry.stimuli else ""
    split = "{column: split}" if arrays.column else "{test: 0.2, seed: 0}   # a fifth of the images, drawn"
    text = f"""
# Recordings of your own (docs/own-recordings.md). `neuroscaling data check arrays FILE` says how they are understood.
encoding:
  - source: arrays
    name: {quoted(name)}
    data: {{local: {quoted(str(entry.data.local))}}}
    images: {quoted(str(entry.images))}{stimuli}
    responses: {quoted(str(entry.responses))}
    units: {quoted(str(entry.units))}
    split: {split}
    samples: [{", ".join(map(str, samples))}]   # images that a mapping from network to responses is fitted on
"""
    subset = f"benchmark: {quoted(name)}, metric: ridge" + (f", test_set: {tests[0]}" if len(tests) > 1 else "")
    regions = tuple(units.region_names(range(len(units.subjects))))
    return Recordings(text, regions, subset, samples, n_units=len(units.names), y="raw")


def _listed(values: Sequence[object]) -> str:
    return ", ".join(quoted(value) if isinstance(value, str) else str(value) for value in values)


def quoted(text: str) -> str:
    """A text as YAML takes it, in quotes where it needs them."""
    plain = re.fullmatch(r"[A-Za-z_/][\w./-]*", text, re.A) and text.lower() not in ("true", "false", "null")
    return text if plain else json.dumps(text, ensure_ascii=False)
