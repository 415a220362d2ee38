"""The figures and claims of the published scaling study (Gokce & Schrimpf 2025), from its public scores."""
