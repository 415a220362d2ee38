"""A campaign is watched: what is done, runs, waits and failed, what it took, and when it will be done."""
