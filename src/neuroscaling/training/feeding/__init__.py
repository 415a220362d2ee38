"""This room makes batches from the images of a data set: decoded, cropped, changed at random, normalised."""
