"""JSON files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuroscaling.core.reading import reading
from neuroscaling.errors import DataError, Problem, listing

FIX = "delete the file and run again"


def read_json(path: str | Path) -> Any:
    """Read a JSON file. Raises DataError, naming the file, when it is missing, cut short, or not UTF-8."""
    with reading(path, "valid JSON", FIX):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def read_object(path: str | Path, *keys: str) -> dict[str, Any]:
    """Read a JSON file that holds an object with all of `keys`. Raises DataError for another one."""
    content = read_json(path)
    require_keys(content, path, keys)
    return content


def require_keys(content: Any, path: str | Path, keys: Sequence[str]) -> None:
    """Raise DataError unless `content`, of the file `path`, is an object with all of `keys`."""
    if not isinstance(content, dict):
        raise DataError(Problem("not a JSON object", str(path), content, "{...}", fix=FIX))
    if missing := [key for key in keys if key not in content]:
        raise DataError(Problem("key is missing", str(path), listing(missing), fix=FIX))


def require_rows(content: Any, path: str | Path, keys: Sequence[str] = ()) -> None:
    """Raise DataError unless `content` has `keys` and a list of objects under `rows`."""
    require_keys(content, path, ["rows", *keys])
    if not isinstance(content["rows"], list) or not all(isinstance(row, dict) for row in content["rows"]):
        raise DataError(Problem("no list of rows", f"{path}, rows", content["rows"], "[{...}, ...]", fix=FIX))
