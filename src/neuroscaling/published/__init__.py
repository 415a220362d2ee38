"""The public score tables of Gokce & Schrimpf 2025: where they come from, and as a score table of a study."""
