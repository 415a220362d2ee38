"""How fast a machine is at what studies are made of, and how long a study would take on it."""
