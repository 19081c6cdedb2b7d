"""Study of a network by all methods of `explain` on a fixed set of scenes, scored against the simulator's truth.

A method is a file of `explain` and takes images and a score function; its run in the study is a file `run_*.py` here, which
chooses scenes by the settings and returns numbers and pages: `run(...) -> (numbers, pages by file name)`.
"""
