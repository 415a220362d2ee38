"""Targets of recordings (vertices, voxels, neurons) are predicted from stored activations, and runs are compared."""
