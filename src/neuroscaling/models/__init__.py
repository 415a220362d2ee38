"""This room builds networks by name, loads their weights, and finds their layers and what they cost."""
