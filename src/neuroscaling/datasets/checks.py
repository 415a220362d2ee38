"""What can be wrong with a data set, all faults at once."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from neuroscaling.datasets.digits import load_digits
from neuroscaling.datasets.fingerprint import cache_file, folder_state, read_cache, write_cache
from neuroscaling.datasets.folders import FOLDERS, scan, split_folder
from neuroscaling.datasets.subsets import count_problems
from neuroscaling.errors import NeuroscalingError, Problem, listing, nearest

Classes = dict[str, list[str]]


def light_problems(name: str, settings: dict[str, Any], samples_per_class: Iterable[int | str]) -> list[Problem]:
    """Faults that the names of files and folders show; quick, run whenever a study is read.

    samples_per_class: every k (or "all") that the study asks of this data set.
    """
    wanted = sorted({k for k in samples_per_class if isinstance(k, int)})
    try:
        if settings.get("format") == "digits":
            labels = load_digits("train")[1].tolist() if wanted else []
            return list(_too_many(name, {str(label): labels.count(label) for label in range(10)}, wanted))
        splits = {split: scan(split_folder(settings, split)) for split in FOLDERS}
    except NeuroscalingError as error:
        return error.problems
    folders = {split: split_folder(settings, split) for split in FOLDERS}
    problems = [p for split, classes in splits.items() for p in _split_problems(folders[split], classes)]
    problems += _class_problems(folders, splits)
    problems += [p for split, classes in splits.items() for p in _name_problems(folders[split], classes)]
    counts = {label: len(files) for label, files in splits["train"].items()}
    return problems + list(_too_many(name, {k: v for k, v in counts.items() if v}, wanted))


def deep_problems(name: str, settings: dict[str, Any], cache_dir: Path | None) -> list[Problem]:
    """Images that can't be decoded, in both splits; each is opened. The result is kept while the folders don't change.

    Raises DataError when a folder is missing.
    """
    if settings.get("format") == "digits":
        load_digits("train")
        return []
    return [p for split in FOLDERS for p in _decoding_problems(split_folder(settings, split), cache_dir)]


def _decoding_problems(folder: Path, cache_dir: Path | None) -> list[Problem]:
    from neuroscaling.datasets.images import shortened, undecodable  # PIL: not while a study is parsed

    key, cached = folder_state(folder), cache_file(cache_dir, "decoding", folder)
    if read_cache(cached, key) == "sound":
        return []
    paths = [folder / name / file for name, files in scan(folder).items() for file in files]
    faults = undecodable(paths)
    if faults:
        return shortened(faults, len(paths))
    write_cache(cached, key, "sound")
    return []


def _too_many(name: str, counts: dict[str, int], wanted: list[int]) -> Iterator[Problem]:
    for k in wanted:
        yield from count_problems(name, counts, k)


def _split_problems(folder: Path, classes: Classes) -> Iterator[Problem]:
    if not classes:
        yield Problem("no class folders", str(folder), fix="put the images in one folder a class")
        return
    if len(classes) == 1:
        yield Problem("only one class", str(folder), next(iter(classes)), "two classes or more")
    empty = [label for label, files in classes.items() if not files]
    if len(empty) == len(classes):
        yield Problem("no images in any class folder", str(folder))
    elif empty:
        yield Problem("classes without images", str(folder), listing(empty), fix="add images or remove the folders")


def _class_problems(folders: dict[str, Path], splits: dict[str, Classes]) -> Iterator[Problem]:
    for here, there in (("train", "validation"), ("validation", "train")):
        missing = [label for label in splits[here] if label not in splits[there]]
        if missing and splits[there]:
            yield Problem(
                f"classes of `{folders[here].name}` are missing here",
                str(folders[there]),
                listing(missing),
                nearest=nearest(missing[0], [label for label in splits[there] if label not in splits[here]]),
                fix="both splits need the same class folders",
            )


def _name_problems(folder: Path, classes: Classes) -> Iterator[Problem]:
    """Images named after another class than that of their folder: folders that were swapped or mixed up."""
    others = {label.lower(): label for label in classes}
    for label, files in classes.items():
        owners = [(file, _named_class(file, others)) for file in files]
        strangers = [(file, owner) for file, owner in owners if owner is not None and owner != label]
        if strangers:
            owner = strangers[0][1]
            yield Problem(
                f"{len(strangers)} of {len(files)} images are named after class `{owner}`",
                str(folder / label),
                listing([file for file, _ in strangers], limit=5),
                f"images of class `{label}`",
                fix=f"were `{label}` and `{owner}` swapped? move or rename the images",
            )


def _named_class(file: str, others: dict[str, str]) -> str | None:
    """The class that a file name begins with: `cat_0001.png` and `cat_val_1.png` say `cat`; the longest one counts."""
    stem = file.rsplit(".", 1)[0].lower()
    ends = [len(stem.rstrip("0123456789").rstrip("-_. "))]
    ends += [match.start() for match in reversed(list(re.finditer(r"[-_. ]", stem)))]
    return next((others[stem[:end]] for end in ends if stem[:end] in others), None)
