"""The figures of Gokce & Schrimpf (2025) are made again from its public tables."""
