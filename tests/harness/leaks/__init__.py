"""The leak harness: plants canaries wherever runner is given a secret, and searches all that was written for them.

What a task returns, and parameters, are stored as they are: no canary is among them here.
"""
