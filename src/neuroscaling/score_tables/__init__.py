"""Tables of scores or losses that a user has: read, checked and written as the score table of a study."""
