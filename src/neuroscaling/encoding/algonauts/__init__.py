"""The Algonauts 2023 directory layout (gifale95/algonauts_2023): what can be wrong with a tree, and reading one.

Light at import: `checks` looks at trees while the Snakefile is parsed.
"""

from neuroscaling.encoding.algonauts.tree import subjects_of, tree_problems

__all__ = ["subjects_of", "tree_problems"]
