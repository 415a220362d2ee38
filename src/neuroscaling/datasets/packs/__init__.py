"""Packs: a data set stored once in few large files."""
