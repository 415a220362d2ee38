"""Scaling laws: forms, losses, a batched solver, bootstraps, and what of a law the data identify.

`from neuroscaling.laws.fit import fit` fits arrays; `neuroscaling.laws.job` fits what a configuration selects.
"""
