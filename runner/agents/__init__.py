"""Agents and their queue: whoever wants a run writes it into the storage, and one agent with its labels starts it."""
