"""Readers of file formats, one module each: what is in a file, or one DataError that names it.

Libraries raise anything at a damaged file: their own errors, zlib's, struct's, tokenize's, KeyError, MemoryError. So a
reader catches by what it reads from, here alone. Light: both environments import it, and libraries where they are
used, since the Snakefile imports what imports this.

Beside them `scales`: on which scale a score stands, which the writers of scores and all that pools them ask.
"""
