"""Light and its deflection as pure functions of arrays on any device; angles in arcsec and radians."""
