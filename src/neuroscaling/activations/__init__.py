"""Activations of networks and baselines to stimuli: extraction and the Zarr store."""
