"""How good the finder is: metrics with intervals, calibration, selection function, and the compound test."""
