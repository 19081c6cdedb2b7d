"""SkyPy's galaxies, our deflectors and the scenes made of them: tables, no pixels."""
