"""From an author's flow to a bundle in a storage."""
