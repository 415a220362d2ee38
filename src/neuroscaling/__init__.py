"""From images to laws: how brain alignment grows with data, parameters and compute."""

__version__ = "0.1.0"
