"""What is stable of this package for Python: `extract`, `score`, `fit` and `open_study` (docs/api.md)."""
