"""What lies under ``runs/`` in a storage: claims, ends, results and how they are read."""
