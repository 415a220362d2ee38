"""Figures of voxel-wise encoding: accuracy by mapping images, parameters and ROI; chosen layers and grids; surfaces."""
