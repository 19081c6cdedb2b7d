"""Explanations of a lens logit: one method a file; `study` applies all of them to a fixed set of scenes.

A method takes a score function (images (B, band, y, x) [microjansky a pixel] -> lens logits (B,)) and images, and needs
no settings, files or devices.
"""
