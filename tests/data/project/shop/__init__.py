"""A package of the author's own, which travels along with its data file."""
