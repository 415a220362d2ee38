"""This room stores stimulus sets as folders of images with a manifest."""
