"""Population of galaxies (SkyPy), deflectors and the scenes made of them: tables, no pixels."""
