"""This room extracts activations of networks and baselines, and stores and reads them as Zarr."""
