"""Bounds that a study file and the job that scores it both hold to. Light: imports nothing."""

V4_SAMPLES = 6
"""The fewest mapping images of a V4 session: fewer leave nothing to choose penalties with in three inner folds."""
