"""Pickles: the only place that unpickles, and what can be found in one without unpickling it."""
