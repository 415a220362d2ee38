"""This room says what a study costs: hours, bytes and memory, before anything is computed."""
