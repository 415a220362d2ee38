"""This room predicts human fMRI (NSD, Algonauts 2023) from stored activations, and compares runs."""
