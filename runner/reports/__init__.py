"""A run's page: one HTML file that needs nothing else, made of what the storage tells of the run."""
