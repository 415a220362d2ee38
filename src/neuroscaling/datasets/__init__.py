"""What the images are: indices, fingerprints, checks and nested subsets of image data sets."""
