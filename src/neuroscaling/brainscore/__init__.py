"""This room scores stored activations on Brain-Score's benchmarks, mostly in an environment of its own."""
