"""Bring one file from a folder or a URL; absence, an unreachable network and an altered file are told apart."""

import http.client
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from neuroscaling.errors import DataError, Problem

TIMEOUT_S = 60


def transfer(source: str | Path, name: str, target: Path, fix: str) -> None:
    """Copy (from a folder) or download (from a URL) the file `name` of `source` to `target`.

    fix: the next step for a user without network. Raises FileNotFoundError where the source has no such file, DataError
    where it can't be reached.
    """
    if "://" not in str(source):
        shutil.copyfile(Path(source) / name, target)
        return
    url = f"{source}/{name}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, open(target, "wb") as file:
            shutil.copyfileobj(response, file)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise FileNotFoundError(url) from error
        raise _unreachable(url, error, fix) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, FileNotFoundError):
            raise FileNotFoundError(url) from error
        raise _unreachable(url, error, fix) from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _unreachable(url, error, fix) from error


def _unreachable(url: str, error: Exception, fix: str) -> DataError:
    return DataError(Problem(f"can't be downloaded: {error}", url, fix=fix))
