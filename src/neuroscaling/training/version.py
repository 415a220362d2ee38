"""Version of what training computes. Raise it when weights change for equal settings: every run gets a new name."""

TRAINING_VERSION = 3
