"""The fault harness: runner in its own processes, killed, paused, crowded and lied to, and looked at from outside."""
