"""The parent process: starts the flow's, watches it, ships its log, and writes the end when it could not."""
