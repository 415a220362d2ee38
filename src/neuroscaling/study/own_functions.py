"""Recordings that a function of one's own returns: the function by its dotted path, names, and what can be wrong.

The module is found without being imported, so that a study is read in no time; `load_function` imports it.
"""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neuroscaling.core.dotted_paths import find_path, load_path
from neuroscaling.core.errors import DataError, Location, Problem, StudyError
from neuroscaling.core.hashing import ArtefactName, file_sha256, kept_sha256
from neuroscaling.study.code_fingerprints import code_of
from neuroscaling.study.own_arrays import OwnImages, OwnStimuli, read_own_stimuli
from neuroscaling.study.sections.encoding import FunctionEncoding

FORM = "package.module:function"
CALLED = "function(options, subject)"
HELP = "docs/own-recordings.md shows such a function"


def images_of(entry: FunctionEncoding) -> OwnImages:
    """The images of an entry; their order tells nothing, since the function names the image of each row."""
    return OwnImages(images=entry.images, stimuli=entry.stimuli, ordered=False)


def function_stimuli(entry: FunctionEncoding) -> OwnStimuli:
    """The images of an entry. Raises DataError with everything that is wrong with the folder or its table."""
    return read_own_stimuli(images_of(entry))


def function_recordings(entry: FunctionEncoding, cache: Path) -> ArtefactName:
    """The prepared recordings of a function: told by its module's file, its options and the files that it reads.

    cache: folder where the sha256 of the files is kept, which are read whole once. What the module imports is not
    followed. Raises StudyError where the path leads nowhere.
    """
    definition = {
        "function": entry.source,
        "source": file_sha256(find_path(entry.source, "function", FORM).file),
        "options": entry.options,
        "files": [kept_sha256(file, cache) for file in entry.files],
        "code": code_of("functions"),
    }
    return ArtefactName(f"function-{entry.name}", definition)


def load_function(path: str) -> Callable[[dict[str, Any], str], Any]:
    """The function, imported. Raises StudyError where that fails, or it can't be called with options and a subject."""
    found = find_path(path, "function", FORM)
    function = load_path(found)
    where = str(found.file)
    if not callable(function):
        raise StudyError(Problem(what=f"`{found.attribute}` is not a function", where=where, value=path, fix=HELP))
    try:
        inspect.signature(function).bind({}, "subject")
    except TypeError as error:
        what = f"the function can't be called: {error}"
        raise StudyError(Problem(what=what, where=where, value=path, allowed=CALLED, fix=HELP)) from error
    return function


def function_problems(entry: FunctionEncoding) -> Iterator[tuple[Location, Problem]]:
    """A path that leads nowhere, files that are missing, and faults of the images. Nothing is imported or called."""
    try:
        find_path(entry.source, "function", FORM)
    except StudyError as error:
        yield from ((("source",), problem) for problem in error.problems)
    for i, file in enumerate(entry.files):
        if not file.exists():
            what, fix = "a file that the function reads is missing", "correct the path, or copy it there"
            yield ("files", i), Problem(what=what, where="", value=str(file), fix=fix)
    try:
        function_stimuli(entry)
    except DataError as error:
        yield from ((("stimuli",) if entry.stimuli else ("images",), problem) for problem in error.problems)
