"""This room simulates brains with known truth from handwritten digits; nothing in it was recorded."""
