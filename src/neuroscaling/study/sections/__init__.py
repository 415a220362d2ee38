"""The study file and the files beside it: their YAML, their sections, and what is wrong with them."""
