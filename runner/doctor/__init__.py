"""``runner doctor``: why it does not work."""
