"""What is learned: an objective is a module that gives the loss of a batch's views. views.py is light: no torch."""
