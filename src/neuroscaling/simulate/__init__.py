"""Simulated brains with known truth, made from real handwritten digits. Never real recordings."""
