"""Pickles: the only place that unpickles, and what can be told of one without unpickling it."""
