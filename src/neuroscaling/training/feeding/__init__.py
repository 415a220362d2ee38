"""From the images of a data set to the batches of a run: decoded, cropped, changed at random, normalised."""
