"""Find strong gravitational lenses in survey images, and show why the network thinks so."""

__version__ = "0.1.0"
