"""Scores on Brain-Score's benchmarks. `ids` is light; the other modules run in the brainscore environment."""
