"""The repository of a search, for all tests of searches."""

from tuning_study import prepared

__all__ = ["prepared"]
