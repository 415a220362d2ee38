"""Recordings of neurons are predicted from stored activations."""
