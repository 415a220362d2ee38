"""This room trains one run after another, resumes exactly, and writes a run's folder."""
