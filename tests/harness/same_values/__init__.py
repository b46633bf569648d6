"""The same-values harness: flows as people write them, at home and in a container's way, and what differs."""
