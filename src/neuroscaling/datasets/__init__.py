"""This room lists image data sets, checks them, reads their images, and draws subsets of them."""
