"""Training: recipes, a plain loop that resumes exactly, and what it leaves in a run's folder."""
