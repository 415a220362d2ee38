"""The `neuroscaling` command: answers questions beside the pipeline."""
