"""Azure Blob Storage, and its credentials as Azure's own SDK finds them."""
