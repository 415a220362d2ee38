"""This room maps features to responses by pure array mathematics; it reads and writes no files."""
