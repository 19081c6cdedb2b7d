"""Real cutouts: FITS files to the network's images, their scores and pictures."""
