"""Stimulus sets as stored folders: `images/` and a `manifest.json` whose rows are unique images."""
