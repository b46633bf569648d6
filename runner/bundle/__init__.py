"""The stored flow: its form, its manifest, and how it is fetched, proven and loaded."""
