"""Pages of scored cutouts."""

from lensdream.cutouts.bands import Origin
from lensdream.cutouts.page import credit_of


def test_every_origin_on_a_page_is_credited():
    assert credit_of([Origin.HUBBLE, Origin.EUCLID, Origin.HUBBLE]) == "Euclid Q1 (ESA/Euclid), HST (NASA/ESA, MAST)"
    assert credit_of(origin for origin in [Origin.SIMULATION]) == ""
