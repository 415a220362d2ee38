"""What is wrong with a tree of TVSD or THINGS-fMRI, all of it at once."""

import filecmp
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.recordings.things_fmri_files import opened_subject
from neuroscaling.recordings.tvsd_files import Responses, opened_responses, training_blocks
from neuroscaling.regression.scores import varies
from neuroscaling.stimuli.things_images import missing_images, read_tvsd_images, shown_ids
from neuroscaling.study.stimulus_sources import ThingsImages
from neuroscaling.study.things_tree import (
    THINGS_FIX,
    TVSD_AREAS,
    Monkey,
    Person,
    fmri_subjects,
    subject_problems,
    tvsd_monkeys,
)

RELIABLE = 0.1
"""Sites of less are noise, and tell nothing of areas."""
MARGIN = 1.5
"""How much more alike sites must be to those of another area than to their own, for a word on it."""
LEAST_ALIKE = 0.005
"""Mean squared correlation, beyond chance."""
FEWEST = 8
"""Sites."""


def check_tvsd_tree(
    root: str | Path, subjects: Sequence[str] | str = "all", images: Path | None = None
) -> list[Problem]:
    """Everything that is wrong with a tree: logs, shapes and axes, images of the rows, NaN; all responses are read.

    images: a folder of THINGS, in which the images are looked for.
    """
    root = Path(root)
    there = tvsd_monkeys(root)
    problems = subject_problems(root, subjects, there, "monkeyF, monkeyN")
    monkeys = [Monkey(root, name) for name in there if subjects == "all" or name in subjects]
    for monkey in monkeys:
        try:
            with opened_responses(monkey) as responses:
                for _ in training_blocks(monkey, responses.training):
                    pass
        except DataError as error:
            problems += error.problems
    problems += [problem for pair in pairwise(monkeys) for problem in _pair_problems(*pair)]
    return [*problems, *_image_problems(ThingsImages(images, tvsd=root) if images else None)]


def tvsd_notes(root: str | Path, subjects: Sequence[str] | str = "all") -> list[Problem]:
    """Monkeys whose file looks like that of the other one, by which sites answer alike: too unsure for an error."""
    notes = []
    for name in tvsd_monkeys(Path(root)):
        if subjects == "all" or name in subjects:
            monkey = Monkey(Path(root), name)
            try:
                with opened_responses(monkey) as responses:
                    notes += _area_notes(monkey, responses)
            except DataError:  # told as a problem
                continue
    return notes


def check_things_fmri_tree(
    root: str | Path, subjects: Sequence[str] | str = "all", images: Path | None = None
) -> list[Problem]:
    """Everything that is wrong with a tree, from its tables and the headers of the responses, which are not read.

    images: a folder of THINGS, in which the images are looked for.
    """
    root = Path(root)
    there = fmri_subjects(root)
    problems = subject_problems(root, subjects, there, "betas_csv/sub-01_ResponseData.h5")
    people = [Person(root, name) for name in there if subjects == "all" or name in subjects]
    for person in people:
        try:
            with opened_subject(person):
                pass
        except DataError as error:
            problems += error.problems
    for one, other in combinations(people, 2):
        first, second = one.voxels, other.voxels
        if first.is_file() and second.is_file() and filecmp.cmp(first, second, shallow=False):
            what, fix = "two subjects have the same table of voxels", "copy or download it again"
            problems.append(Problem(what=what, where=str(second), value=str(first), fix=fix))
    return [*problems, *_image_problems(ThingsImages(images, fmri=root) if images else None)]


def _image_problems(source: ThingsImages | None) -> list[Problem]:
    if source is None:
        return []
    try:
        problem = missing_images(source.root, shown_ids(source))
    except DataError:  # the lists of images are told of already
        return []
    return [problem] if problem else []


def _pair_problems(one: Monkey, other: Monkey) -> list[Problem]:
    """Both monkeys saw the same images in the same order, and gave different responses."""
    problems = []
    try:
        if read_tvsd_images(one) != read_tvsd_images(other):
            what, fix = "the monkeys' logs list different images", "both saw the same: copy or download both again"
            problems.append(Problem(what=what, where=str(other.images), value=str(one.images), fix=fix))
        with opened_responses(one) as first, opened_responses(other) as second:
            same = np.array_equal(first.test, second.test, equal_nan=True)
    except DataError:  # told already
        return problems
    if same:
        what, fix = "both monkeys' files hold the same responses", "one lies under the other's name: copy it again"
        problems.append(Problem(what=what, where=str(other.responses), value=str(one.responses), fix=fix))
    return problems


def _area_notes(monkey: Monkey, responses: Responses) -> list[Problem]:
    """Sites 768 to 831 are of one area with those before them in monkey F, with those behind them in monkey N."""
    disputed, before, behind = (np.arange(*ends) for ends in ((768, 832), (512, 768), (832, 1024)))
    _, block = next(training_blocks(monkey, responses.training))
    good = np.isfinite(block).all(0) & varies(block) & (np.nan_to_num(responses.reliability) >= RELIABLE)
    parts = [part[good[part]] for part in (disputed, before, behind)]
    if min(map(len, parts)) < FEWEST or len(block) < 3:
        return []
    with np.errstate(invalid="ignore"):
        scored = (block - block.mean(0)) / np.where(good, block.std(0), 1)
    middle, *sides = (scored[:, part] for part in parts)
    # What independent sites have by chance is taken off.
    like_before, like_behind = (
        float(((middle.T @ side / len(block)) ** 2).mean()) - 1 / (len(block) - 1) for side in sides
    )
    of_one_area = any(disputed[0] in area and before[0] in area for area in TVSD_AREAS[monkey.name].values())
    ours, theirs = (like_before, like_behind) if of_one_area else (like_behind, like_before)
    if theirs < max(MARGIN * ours, LEAST_ALIKE):
        return []
    other = next(name for name in TVSD_AREAS if name != monkey.name)
    what = f"sites 768 to 831 answer like those that are of the same area in {other}: is this file {other}'s?"
    value = f"mean squared correlation {theirs:.3g}, and {ours:.3g} with the sites of their own area"
    return [Problem(what=what, where=str(monkey.responses), value=value, fix=THINGS_FIX)]
