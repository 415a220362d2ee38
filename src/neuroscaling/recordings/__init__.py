"""Recordings of every source (fMRI, neurons, arrays of one's own) become one type, with their checks."""
