"""Encoding of human fMRI and macaque V4 recordings from stored activations."""
