"""Data sets of images: the store (shards, masks, truth table, manifest) and the training images."""
