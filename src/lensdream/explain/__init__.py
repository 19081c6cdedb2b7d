"""Why does the network call this a lens? One method a file; `stage` runs them all on a fixed set of scenes.

A method takes a score function (images (B, band, y, x) [microjansky a pixel] -> lens logits (B,)) and images, and knows
no settings, files or devices.
"""
