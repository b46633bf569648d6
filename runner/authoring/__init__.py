"""What an author holds: flows, storages as they are declared, and building."""
