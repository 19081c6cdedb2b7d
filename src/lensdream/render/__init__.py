"""Rendering of the table of scenes: images, truth masks and measurements."""
