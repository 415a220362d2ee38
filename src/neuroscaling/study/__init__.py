"""What a study file says, expands to and wants of its store; the Snakefile reads it without torch."""
