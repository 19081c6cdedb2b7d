"""What the explain stage does with its scenes, one step a file: `run(...) -> (numbers, pages by file name)`."""
