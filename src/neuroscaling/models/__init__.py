"""The zoo: architectures by name, how they are built, their layers and what they cost."""
