"""Measurements of the finder: metrics with intervals, calibration, selection function, survey and compound test."""
