"""The finder: a model folder, its cascade and thresholds as one object, and the look-up of models."""
