"""Who wins: a start whose flow fails, or somebody beside it who wants it to end with 0."""
