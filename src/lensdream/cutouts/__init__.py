"""Real cutouts: FITS files read into the network's input images, scored and drawn."""
