"""What travels of a flow: tasks, their uses, the graph and its parameters."""
