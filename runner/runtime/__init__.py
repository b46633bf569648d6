"""The flow's own process: from its environment to the end of its attempt."""
