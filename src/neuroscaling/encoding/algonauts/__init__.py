"""The Algonauts 2023 directory layout (gifale95/algonauts_2023): what can be wrong with a tree, and reading one.

Light at import: `checks` looks at trees while the Snakefile is parsed.
"""

from typing import Any

from neuroscaling.encoding.algonauts.tree import subjects_of, tree_problems

__all__ = ["subjects_of", "tree_problems"]


def __getattr__(name: str) -> Any:
    """The readers of whole subjects, imported when they are asked for."""
    if name in ("Subject", "read_subject"):
        from neuroscaling.encoding.algonauts import subject

        return getattr(subject, name)
    raise AttributeError(name)
