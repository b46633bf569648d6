"""The leak harness: plants canaries wherever runner is told something in confidence, and greps all that was written.

What a task returns is the flow's own affair: it is stored as it is, and no canary is returned here. So are parameters.
"""
